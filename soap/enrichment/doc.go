// Package enrichment is what gowsdl makes of soap/enrichment.wsdl: its types and a client that package soap makes safe.
// Only this comment is written by hand; go generate in soap writes the rest.
package enrichment
