"""Calls the enrichment service with zeep, which knows nothing of it but its WSDL, and says how that went.

Usage: caller.py WSDL-URL IMAGE; prints one JSON object. Each reply is checked against the WSDL's own schema, too.
"""

import base64
import datetime
import json
import sys

import requests
import zeep
from lxml import etree

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
XSD = "http://www.w3.org/2001/XMLSchema"
OURS = "urn:shoal:enrichment:1"


class Checked(zeep.Transport):
    """Checks what comes back against the schema."""

    schema = None
    checked = 0

    def post(self, address, message, headers):
        reply = super().post(address, message, headers)
        body = etree.fromstring(reply.content).find("{%s}Body" % SOAP)
        if self.schema is not None and reply.status_code == 200:
            self.schema.assertValid(etree.fromstring(etree.tostring(body[0])))
            self.checked += 1
        return reply


def envelope(body):
    return '<e:Envelope xmlns:e="%s"><e:Body>%s</e:Body></e:Envelope>' % (SOAP, body)


def main():
    url, picture = sys.argv[1], open(sys.argv[2], "rb").read()
    transport = Checked(timeout=10, operation_timeout=10)
    client = zeep.Client(url, transport=transport)
    address = client.service._binding_options["address"]
    definitions = etree.fromstring(requests.get(url, timeout=10).content)
    schema = etree.tostring(definitions.find(".//{%s}schema" % XSD))
    transport.schema = etree.XMLSchema(etree.fromstring(schema))
    out = {"address": address}

    first = client.service.Stamp(count=3)
    second = client.service.Stamp(count=1)
    assert isinstance(first.time, datetime.datetime) and first.time.tzinfo is not None, first
    out["stamps"] = [first.first, second.first]
    out["zone"] = first.zone
    out["time"] = first.time.isoformat()

    def enrich(**what):
        found = zeep.helpers.serialize_object(client.service.Enrich(**what), dict)
        return {k: v for k, v in found.items() if v is not None}

    out["picture"] = enrich(name="a.txt", size=len(picture), head=picture[:3072])
    out["text"] = enrich(name="Grüße & <mehr>.md", size=5, head=b"# Hi\n")
    out["unseen"] = enrich(name="film.mkv", size=1 << 40, head=b"")

    faults = {}

    def refused(name, call):
        try:
            faults[name] = "answered: %s" % (call(),)
        except zeep.exceptions.Fault as fault:
            faults[name] = fault.code.split(":")[-1]
            assert fault.message and "goroutine" not in fault.message, fault.message

    # zeep does not check facets, so these go out as they are.
    refused("count 0", lambda: client.service.Stamp(count=0))
    refused("count 65537", lambda: client.service.Stamp(count=65537))
    refused("size -1", lambda: client.service.Enrich(name="a", size=-1, head=b""))
    refused("head too long", lambda: client.service.Enrich(name="a", size=4000, head=b"x" * 3073))
    refused("head longer than the file", lambda: client.service.Enrich(name="a", size=1, head=b"xx"))
    refused("name too long", lambda: client.service.Enrich(name="x" * 256, size=1, head=b""))
    refused("name empty", lambda: client.service.Enrich(name="", size=1, head=b""))

    def raw(name, text, **headers):
        headers.setdefault("Content-Type", "text/xml; charset=utf-8")
        reply = requests.post(address, data=text.encode(), headers=headers, timeout=10)
        fault = etree.fromstring(reply.content).find(".//{%s}Fault" % SOAP)
        faults[name] = "%d %s" % (reply.status_code, fault.findtext("faultcode").split(":")[-1])
        assert fault.findtext("faultstring"), reply.content

    stamp = '<Stamp xmlns="%s"><count>1</count></Stamp>' % OURS
    bomb = '<!DOCTYPE b [<!ENTITY a0 "aaaaaaaaaa">%s]>' % "".join(
        '<!ENTITY a%d "%s">' % (i, ("&a%d;" % (i - 1)) * 10) for i in range(1, 10)
    )
    raw("unknown operation", envelope('<Destroy xmlns="%s"/>' % OURS))
    raw("another namespace", envelope(stamp.replace(OURS, "urn:other")))
    raw("DOCTYPE", "<!DOCTYPE x>" + envelope(stamp))
    raw("entity bomb", bomb + envelope(stamp.replace("1<", "&a9;<")))
    raw("external entity", '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + envelope(stamp.replace("1<", "&e;<")))
    raw("not well-formed", envelope("<Stamp>"))
    raw("not a number", envelope(stamp.replace("1<", "one<")))
    raw("not base64", envelope('<Enrich xmlns="%s"><name>a</name><size>9</size><head>%%</head></Enrich>' % OURS))
    raw("another order", envelope('<Enrich xmlns="%s"><size>9</size><name>a</name><head/></Enrich>' % OURS))
    raw("something missing", envelope('<Enrich xmlns="%s"><name>a</name><size>9</size></Enrich>' % OURS))
    raw("another action", envelope(stamp), SOAPAction='"%s#Enrich"' % OURS)
    raw("SOAP 1.2", envelope(stamp).replace(SOAP, "http://www.w3.org/2003/05/soap-envelope"))
    raw(
        "mustUnderstand",
        envelope(stamp).replace("<e:Body>", '<e:Header><h xmlns="urn:h" e:mustUnderstand="1"/></e:Header><e:Body>'),
    )
    out["faults"] = faults

    padded = " ".join(base64.b64encode(b"hello").decode())
    text = envelope('<Enrich xmlns="%s"><name>a</name><size> 5\n</size><head>%s</head></Enrich>' % (OURS, padded))
    reply = requests.post(address, data=text, headers={"Content-Type": "text/xml"}, timeout=10)
    out["white space"] = reply.status_code
    out["checked"] = transport.checked
    print(json.dumps(out))


main()
