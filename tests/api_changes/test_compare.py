"""What `scripts/api-changes` calls a break and what it does not: python3 -m unittest discover tests/api_changes."""

import copy
import unittest

from compare import Judge

ERROR = {"type": "object", "required": ["code"], "properties": {"code": {"type": "string"}}}
DOCUMENT = {
    "openapi": "3.1.0",
    "paths": {
        "/passes/{type}/{serial}": {
            "put": {
                "operationId": "replacePass",
                "security": [{"key": []}],
                "parameters": [
                    {"in": "path", "name": "type", "required": True, "schema": {"type": "string"}},
                    {"in": "path", "name": "serial", "required": True, "schema": {"type": "string", "maxLength": 256}},
                    {"in": "header", "name": "If-Match", "schema": {"type": "string"}},
                    {"in": "query", "name": "limit", "schema": {"type": "integer", "maximum": 100}},
                ],
                "requestBody": {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}},
                "responses": {
                    "200": {
                        "headers": {"ETag": {"schema": {"type": "string"}}},
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}},
                    },
                    "404": {"content": {"application/problem+json": {"schema": ERROR}}},
                },
            }
        },
        "/passes": {"get": {"operationId": "listPasses", "responses": {"200": {"content": {"application/json": {"schema": {"type": "object"}}}}}}},
    },
    "components": {
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}, "operator": {"type": "http", "scheme": "basic"}},
        "schemas": {
            "Order": {
                "type": "object",
                "required": ["style"],
                "properties": {
                    "style": {"type": "string", "enum": ["event", "coupon"]},
                    "poster": {"type": "boolean"},
                    "content": {"type": ["object", "null"]},
                    "fields": {"type": "array", "items": {"type": "string", "minLength": 1}},
                    "assets": {"type": "object", "propertyNames": {"enum": ["icon.png", "logo.png"]}, "additionalProperties": {"type": "string"}},
                },
            },
            "Answer": {
                "type": "object",
                "required": ["etag", "state"],
                "properties": {
                    "etag": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                    "state": {"type": "string", "enum": ["waiting", "finished"]},
                    "position": {"type": "integer", "minimum": 0},
                    "next": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Answer"}]},
                },
            },
        },
    },
}


def changed(change):
    document = copy.deepcopy(DOCUMENT)
    operation = document["paths"]["/passes/{type}/{serial}"]["put"]
    schemas = document["components"]["schemas"]
    change(document, operation, schemas["Order"], schemas["Answer"])
    return document


class Verdicts(unittest.TestCase):
    def breaks(self, change, expected):
        document = changed(change)
        self.assertNotEqual(document, DOCUMENT)
        found = Judge(DOCUMENT, document).judge()
        self.assertTrue(any(expected in fault for fault in found), found)

    def fits(self, change):
        document = changed(change)
        self.assertNotEqual(document, DOCUMENT)
        self.assertEqual(Judge(DOCUMENT, document).judge(), [])

    def test_the_same_document_breaks_nobody(self):
        self.assertEqual(Judge(DOCUMENT, copy.deepcopy(DOCUMENT)).judge(), [])

    def test_operations(self):
        self.breaks(lambda d, o, r, a: d["paths"].pop("/passes"), "GET /passes: it is gone")
        self.breaks(lambda d, o, r, a: o.update(operationId="putPass"), "replacePass, now putPass")
        self.fits(lambda d, o, r, a: d["paths"].update({"/jobs": {"get": {"operationId": "jobs", "responses": {}}}}))
        self.fits(lambda d, o, r, a: o.update(summary="Other words", description="Many.", deprecated=True))

    def test_a_parameter_of_the_path_may_get_another_name(self):
        def renamed(d, o, r, a):
            d["paths"]["/passes/{type}/{serialNumber}"] = d["paths"].pop("/passes/{type}/{serial}")
            o["parameters"][1]["name"] = "serialNumber"

        self.fits(renamed)

    def test_credentials(self):
        self.breaks(lambda d, o, r, a: o.update(security=[{"operator": []}]), "other credentials")
        self.breaks(lambda d, o, r, a: o.update(security=[{"key": [], "operator": []}]), "other credentials")
        self.breaks(lambda d, o, r, a: d["components"]["securitySchemes"]["key"].update(scheme="digest"), "other credentials")
        self.breaks(lambda d, o, r, a: d["paths"]["/passes"]["get"].update(security=[{"key": []}]), "GET /passes: it asks for other")
        self.fits(lambda d, o, r, a: o.update(security=[{"operator": []}, {"key": []}]))
        self.fits(lambda d, o, r, a: o.update(security=[]))

    def test_parameters(self):
        self.breaks(lambda d, o, r, a: o["parameters"].pop(), "query parameter limit: it is gone")
        self.breaks(lambda d, o, r, a: o["parameters"][2].update(required=True), "If-Match: it is required now")
        self.breaks(lambda d, o, r, a: o["parameters"].append({"in": "query", "name": "q", "required": True}), "q is new and required")
        self.breaks(lambda d, o, r, a: o["parameters"][3]["schema"].update(maximum=50), "maximum was 100, is 50")
        self.breaks(lambda d, o, r, a: o["parameters"][2]["schema"].update(pattern="^a"), "pattern was None")
        self.fits(lambda d, o, r, a: o["parameters"][3]["schema"].update(maximum=500))
        self.fits(lambda d, o, r, a: o["parameters"][3]["schema"].update(type="number"))
        self.fits(lambda d, o, r, a: o["parameters"][2].update(name="if-match"))
        self.fits(lambda d, o, r, a: o["parameters"].append({"in": "query", "name": "q", "schema": {"type": "string"}}))

    def test_bodies(self):
        self.breaks(lambda d, o, r, a: o.pop("requestBody"), "none is taken any longer")
        self.breaks(lambda d, o, r, a: o["requestBody"].update(content={"text/plain": {}}), "application/json is not taken any longer")
        self.breaks(lambda d, o, r, a: d["paths"]["/passes"]["get"].update(requestBody={"required": True, "content": {}}), "it is required now")
        self.fits(lambda d, o, r, a: o["requestBody"].update(required=False))
        self.fits(lambda d, o, r, a: o["requestBody"]["content"].update({"text/plain": {}}))

    def test_what_a_request_may_hold(self):
        self.breaks(lambda d, o, r, a: r["required"].append("poster"), "required now: `poster`")
        self.breaks(lambda d, o, r, a: r["properties"].pop("poster"), "members are gone: `poster`")
        self.breaks(lambda d, o, r, a: r["properties"]["style"]["enum"].remove("coupon"), 'not taken any longer: `"coupon"`')
        self.breaks(lambda d, o, r, a: r["properties"]["poster"].update(enum=[True]), "values that are not listed")
        self.breaks(lambda d, o, r, a: r["properties"]["content"].update(type="object"), "type `null`")
        self.breaks(lambda d, o, r, a: r["properties"]["fields"]["items"].update(minLength=2), "/fields/[]: minLength was 1, is 2")
        self.breaks(lambda d, o, r, a: r.update(additionalProperties=False), "not described are refused")
        self.breaks(lambda d, o, r, a: r["properties"]["assets"]["propertyNames"]["enum"].pop(), '/assets, names: not taken any longer: `"logo.png"`')
        self.breaks(lambda d, o, r, a: r["properties"]["assets"]["additionalProperties"].update(maxLength=64), "/assets/*: maxLength was None, is 64")
        self.fits(lambda d, o, r, a: r["properties"].update(new={"type": "string"}))
        self.fits(lambda d, o, r, a: r["properties"]["assets"]["propertyNames"]["enum"].append("strip.png"))
        self.fits(lambda d, o, r, a: r["properties"]["assets"].pop("propertyNames"))
        self.fits(lambda d, o, r, a: r["required"].remove("style"))
        self.fits(lambda d, o, r, a: r["properties"]["style"]["enum"].append("store"))
        self.fits(lambda d, o, r, a: r["properties"]["fields"]["items"].pop("minLength"))

    def test_what_an_answer_may_be(self):
        self.breaks(lambda d, o, r, a: o["responses"].pop("200"), "does not answer 200")
        self.breaks(lambda d, o, r, a: o["responses"]["200"]["headers"].pop("ETag"), "headers are gone: `etag`")
        self.breaks(lambda d, o, r, a: o["responses"]["404"].update(content={}), "application/problem+json is gone")
        self.breaks(lambda d, o, r, a: a["required"].remove("etag"), "may be missing now: `etag`")
        self.breaks(lambda d, o, r, a: a["properties"].pop("position"), "members are gone: `position`")
        self.breaks(lambda d, o, r, a: a["properties"]["state"]["enum"].append("failed"), 'may be answered now: `"failed"`')
        self.breaks(lambda d, o, r, a: a["properties"]["state"].pop("enum"), "values that are not listed")
        self.breaks(lambda d, o, r, a: a["properties"]["position"].update(type=["integer", "null"]), "type `null`")
        self.breaks(lambda d, o, r, a: a["properties"]["position"].update(minimum=-1), "minimum was 0, is -1")
        self.breaks(lambda d, o, r, a: a["properties"]["etag"].update(pattern="^.*$"), "pattern was ^[0-9a-f]{64}$, is ^.*$")
        self.breaks(lambda d, o, r, a: a["properties"]["next"]["oneOf"].append({"type": "string"}), "may be answered now")
        self.fits(lambda d, o, r, a: a["properties"].update(new={"type": "string"}))
        self.fits(lambda d, o, r, a: a["required"].append("position"))
        self.fits(lambda d, o, r, a: a["properties"]["next"]["oneOf"].pop(0))
        self.fits(lambda d, o, r, a: o["responses"].pop("404"))
        self.fits(lambda d, o, r, a: o["responses"].update({"409": {"content": {}}}))

    def test_the_way_a_schema_is_written_does_not_matter(self):
        def inlined(d, o, r, a):
            o["requestBody"]["content"]["application/json"]["schema"] = {"allOf": [{"$ref": "#/components/schemas/Order"}], "description": "It."}

        self.fits(inlined)

    def test_what_it_does_not_know_is_for_a_person_to_judge(self):
        self.breaks(lambda d, o, r, a: r.update(dependentRequired={"poster": ["style"]}), "dependentRequired was None")


if __name__ == "__main__":
    unittest.main()
