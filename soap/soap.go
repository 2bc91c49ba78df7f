// Package soap calls the enrichment service, which tells facts of files and gives operations a time and a number, as
// enrichment.wsdl says. The service may be absent, slow, hung or lying: a call ends in bounded time and memory with an
// answer that keeps the contract, or with an error, and Breaker spares those who call a service that is not there.
//
// Package soap/enrichment is generated from the contract, soap/envelope reads what strangers send, soap/service answers,
// and soap/facts knows what a file is.
package soap

import _ "embed"

//go:generate go tool gowsdl -p enrichment -o enrichment.go enrichment.wsdl

// WSDL is the contract: a WSDL 1.1 document, whose address is Address.
//
//go:embed enrichment.wsdl
var WSDL string

// Namespace is what everything in the contract is named under.
const Namespace = "urn:shoal:enrichment:1"

// Path is where the service answers below its host.
const Path = "/enrichment"

// Address stands in WSDL for where the service is.
const Address = "http://localhost" + Path

// The limits of the contract that package shoal does not know.
const (
	MaxCount = 1 << 16 // numbers that one Stamp gives
	MaxZone  = 64      // bytes of a time zone's name
)
