package service

import (
	"bytes"
	"encoding/xml"
	"strings"

	"shoal/soap/envelope"
)

const (
	opening = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<soap:Envelope xmlns:soap="` + envelope.Namespace + `"><soap:Body>`
	closing = `</soap:Body></soap:Envelope>`
)

// enveloped puts XML into an envelope's body.
func enveloped(body []byte) []byte {
	b := make([]byte, 0, len(opening)+len(body)+len(closing))
	return append(append(append(b, opening...), body...), closing...)
}

// maxFault is how much text a fault has, in bytes.
const maxFault = 255

// fault is a fault's XML, with a code of SOAP 1.1's own.
func fault(code, text string) []byte {
	if len(text) > maxFault {
		text = strings.ToValidUTF8(text[:maxFault], "")
	}
	var b bytes.Buffer
	b.WriteString("<soap:Fault><faultcode>soap:" + code + "</faultcode><faultstring>")
	_ = xml.EscapeText(&b, []byte(text)) // a bytes.Buffer takes everything
	b.WriteString("</faultstring></soap:Fault>")
	return b.Bytes()
}
