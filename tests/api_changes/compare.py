"""Says whether a newer OpenAPI document breaks callers that were written against an older one: compare.py OLD NEW.

One rule decides about schemas: a request may be described more widely than before, an answer more narrowly. So the schema of a request must
cover its older self, and the older schema of an answer must cover the newer. Beyond that an answer may get new members, and a member that has
gone is missed in either. Ends with 1 when something breaks. A keyword that it does not know and that has changed counts as a break, so that a
person looks.
"""

import json
import re
import sys

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
WORDS = {"description", "title", "summary", "example", "examples", "deprecated", "default", "$comment", "externalDocs", "readOnly", "writeOnly"}
UPPER = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}
LOWER = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
EXACT = {"pattern", "format", "multipleOf", "uniqueItems", "contentEncoding", "contentMediaType", "discriminator"}
JUDGED = {"type", "enum", "const", "required", "properties", "additionalProperties", "propertyNames", "items", "oneOf", "anyOf", "allOf", "$ref"}
TYPES = {"null", "boolean", "object", "array", "number", "string", "integer"}


class Document:
    def __init__(self, document):
        self.document = document

    def at(self, value):
        """What a reference leads to."""
        while isinstance(value, dict) and "$ref" in value:
            reference, value = value["$ref"], self.document
            for name in reference.removeprefix("#/").split("/"):
                value = value[name.replace("~1", "/").replace("~0", "~")]
        return value

    def operations(self):
        """Every operation by method and path; what a parameter of the path is called does not matter to callers."""
        found = {}
        for path, item in self.document.get("paths", {}).items():
            for method in METHODS:
                if method in item:
                    operation = dict(item[method])
                    operation["parameters"] = item.get("parameters", []) + operation.get("parameters", [])
                    operation["path"] = path
                    found[method.upper(), re.sub(r"\{[^}]*\}", "{}", path)] = operation
        return found

    def parameters(self, operation):
        names = re.findall(r"\{([^}]*)\}", operation["path"])
        found = {}
        for parameter in map(self.at, operation["parameters"]):
            place, name = parameter["in"], parameter["name"]
            key = names.index(name) if place == "path" and name in names else name.lower() if place == "header" else name
            found[place, key] = parameter
        return found

    def security(self, operation):
        """The ways to be let in: each a set of credentials, with all that a caller must know of them."""
        schemes = self.document.get("components", {}).get("securitySchemes", {})
        ways = operation.get("security", self.document.get("security", [])) or [{}]
        known = ("type", "scheme", "in", "name")
        return [{tuple(self.at(schemes.get(name, {})).get(it) for it in known) for name in way} for way in ways]

    def schema(self, value):
        """A schema with its reference and its `allOf` put together. `True` stands for anything."""
        value = self.at(value)
        if value is True or value is None:
            return {}
        if value is False or "allOf" not in value:
            return {"enum": []} if value is False else value
        together = {name: it for name, it in value.items() if name != "allOf"}
        for part in map(self.schema, value["allOf"]):
            for name, it in part.items():
                if name == "properties":
                    together[name] = {**it, **together.get(name, {})}
                elif name == "required":
                    together[name] = sorted({*it, *together.get(name, [])})
                else:
                    together.setdefault(name, it)
        return together


def types(schema):
    if "type" in schema:
        named = schema["type"]
        found = set(named) if isinstance(named, list) else {named}
    else:
        found = TYPES
    return found | {"integer"} if "number" in found else found


def values(schema):
    """The values that a schema lists, as texts; `None` when it lists none."""
    listed = [schema["const"]] if "const" in schema else schema.get("enum")
    return None if listed is None else {json.dumps(value, sort_keys=True) for value in listed}


def said(names):
    return ", ".join(f"`{name}`" for name in sorted(names))


class Judge:
    def __init__(self, old, new):
        self.old, self.new = Document(old), Document(new)
        self.breaks = []
        self.open = set()

    def judge(self):
        old, new = self.old.operations(), self.new.operations()
        for key, operation in old.items():
            place = f"{key[0]} {operation['path']}"
            if key in new:
                self.operation(place, operation, new[key])
            else:
                self.breaks.append(f"{place}: it is gone")
        return self.breaks

    def operation(self, place, old, new):
        if old.get("operationId") != new.get("operationId"):
            self.breaks.append(f"{place}: generated clients call it {old.get('operationId')}, now {new.get('operationId')}")
        ways = self.new.security(new)
        if not all(any(way <= known for way in ways) for known in self.old.security(old)):
            self.breaks.append(f"{place}: it asks for other credentials")
        self.parameters(place, self.old.parameters(old), self.new.parameters(new))
        self.body(place, self.old.at(old.get("requestBody")), self.new.at(new.get("requestBody")))
        self.answers(place, old.get("responses", {}), new.get("responses", {}))

    def parameters(self, place, old, new):
        for key, parameter in old.items():
            name = f"{place}, {key[0]} parameter {parameter['name']}"
            if key not in new:
                self.breaks.append(f"{name}: it is gone")
                continue
            if new[key].get("required") and not parameter.get("required"):
                self.breaks.append(f"{name}: it is required now")
            self.accepts(name, parameter.get("schema"), new[key].get("schema"))
        for key in new.keys() - old.keys():
            if new[key].get("required"):
                self.breaks.append(f"{place}: the {key[0]} parameter {new[key]['name']} is new and required")

    def body(self, place, old, new):
        place = f"{place}, body"
        if old and not new:
            self.breaks.append(f"{place}: none is taken any longer")
        elif new and new.get("required") and not (old and old.get("required")):
            self.breaks.append(f"{place}: it is required now")
        for media, content in (old or {}).get("content", {}).items():
            if new and media not in new["content"]:
                self.breaks.append(f"{place}: {media} is not taken any longer")
            elif new:
                schema, newer = self.old.at(content).get("schema"), self.new.at(new["content"][media]).get("schema")
                self.accepts(f"{place} {media}", schema, newer)

    def answers(self, place, old, new):
        for status, response in old.items():
            if status not in new:
                if status[0] not in "45":
                    self.breaks.append(f"{place}: it does not answer {status} any longer")
                continue
            name = f"{place}, {status}"
            before, now = self.old.at(response), self.new.at(new[status])
            lost = {it.lower() for it in before.get("headers", {})} - {it.lower() for it in now.get("headers", {})}
            if lost:
                self.breaks.append(f"{name}: headers are gone: {said(lost)}")
            for media, content in before.get("content", {}).items():
                if media not in now.get("content", {}):
                    self.breaks.append(f"{name}: {media} is gone")
                    continue
                schema, newer = self.old.at(content).get("schema"), self.new.at(now["content"][media]).get("schema")
                self.promises(f"{name} {media}", schema, newer)

    def accepts(self, place, old, new):
        """A request: the newer schema takes all that the older one took."""
        self.breaks += self.covers(place, (self.new, new), (self.old, old), "request")

    def promises(self, place, old, new):
        """An answer: the older schema describes all that the newer one may be."""
        self.breaks += self.covers(place, (self.old, old), (self.new, new), "answer")

    def covers(self, place, wide, narrow, use):
        """Why the first schema does not cover the second; nothing when it does."""
        (at_wide, wide_schema), (at_narrow, narrow_schema) = wide, narrow
        key = (json.dumps(wide_schema, sort_keys=True), json.dumps(narrow_schema, sort_keys=True), use)
        if key in self.open:  # a schema that holds itself
            return []
        self.open.add(key)
        w, n = at_wide.schema(wide_schema), at_narrow.schema(narrow_schema)
        alternatives = [schema.get("oneOf") or schema.get("anyOf") or [schema] for schema in (w, n)]
        if len(alternatives[0]) > 1 or len(alternatives[1]) > 1:
            found = self.alternatives(place, at_wide, alternatives[0], at_narrow, alternatives[1], use)
        else:
            pair = (at_wide, at_wide.schema(alternatives[0][0])), (at_narrow, at_narrow.schema(alternatives[1][0]))
            found = self.members(place, *pair, use) + self.values(place, pair[0][1], pair[1][1], use)
        self.open.discard(key)
        return found

    def alternatives(self, place, at_wide, wide, at_narrow, narrow, use):
        covered = lambda one: any(not self.covers(place, (at_wide, it), (at_narrow, one), use) for it in wide)
        missing = [one for one in narrow if not covered(one)]
        verb = "is not taken any longer" if use == "request" else "may be answered now"
        return [f"{place}: {json.dumps(one)[:120]} {verb}" for one in missing]

    def values(self, place, wide, narrow, use):
        verb = "not taken any longer" if use == "request" else "may be answered now"
        found = []
        more = types(narrow) - types(wide)
        if more:
            found.append(f"{place}: {verb}: type {said(more)}")
        listed = values(wide)
        if listed is not None:
            more = None if values(narrow) is None else values(narrow) - listed
            if more is None or more:
                found.append(f"{place}: {verb}: {said(more) if more else 'values that are not listed'}")
        for name in wide.keys() | narrow.keys():
            w, n = wide.get(name), narrow.get(name)
            if name in UPPER or name in LOWER:
                fits = w is None or (n is not None and (n <= w if name in UPPER else n >= w))
            elif name in EXACT:
                fits = w is None or w == n
            else:
                fits = name in WORDS or name in JUDGED or name.startswith("x-") or w == n
            if not fits:
                before, now = (n, w) if use == "request" else (w, n)
                found.append(f"{place}: {name} was {before}, is {now}")
        return found

    def members(self, place, wide, narrow, use):
        (at_wide, w), (at_narrow, n) = wide, narrow
        found = []
        of_wide, of_narrow = w.get("properties", {}), n.get("properties", {})
        before, now = (of_narrow, of_wide) if use == "request" else (of_wide, of_narrow)
        gone = before.keys() - now.keys()
        if gone:
            found.append(f"{place}: members are gone: {said(gone)}")
        more = set(w.get("required", [])) - set(n.get("required", [])) - (gone if use == "answer" else set())
        if more:
            found.append(f"{place}: {'required now' if use == 'request' else 'may be missing now'}: {said(more)}")
        for name in of_wide.keys() & of_narrow.keys():
            found += self.covers(f"{place}/{name}", (at_wide, of_wide[name]), (at_narrow, of_narrow[name]), use)
        others_wide, others_narrow = w.get("additionalProperties", True), n.get("additionalProperties", True)
        if others_wide is False:
            if use == "request" and others_narrow is not False:
                found.append(f"{place}: members that are not described are refused now")
        elif others_wide is not True and others_narrow is not False:
            found += self.covers(f"{place}/*", (at_wide, others_wide), (at_narrow, others_narrow), use)
        if "propertyNames" in w:
            named = [(at, {"type": "string", **at.schema(schema.get("propertyNames"))}) for at, schema in (wide, narrow)]
            found += self.covers(f"{place}, names", *named, use)
        if "items" in w and "array" in types(n):
            found += self.covers(f"{place}/[]", (at_wide, w["items"]), (at_narrow, n.get("items")), use)
        return found


def main(old, new):
    with open(old, encoding="utf-8") as before, open(new, encoding="utf-8") as now:
        old, new = json.load(before), json.load(now)
    breaks = Judge(old, new).judge()
    for fault in breaks:
        print(f"breaks callers: {fault}")
    if not breaks:
        print("no caller breaks" if old != new else "the document is the same")
    return 1 if breaks else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
