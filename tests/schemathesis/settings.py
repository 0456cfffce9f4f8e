"""Writes the settings of schemathesis for a running `honoken dev`: settings.py READY_FILE SETTINGS_FILE

Prints where the service is. Credentials and names come from the ready file, the token of the sample pass from its file.
"""

import io
import json
import pathlib
import string
import sys
import urllib.request
import zipfile

ready = json.loads(pathlib.Path(sys.argv[1]).read_text())
pass_path = f"/manage/v1/passes/{ready['passTypeIdentifier']}/{ready['serialNumber']}/pkpass"
request = urllib.request.Request(ready["baseUrl"] + pass_path, headers={"Authorization": f"Bearer {ready['apiKey']}"})
with urllib.request.urlopen(request, timeout=60) as answer:
    package = zipfile.ZipFile(io.BytesIO(answer.read()))
headers = {"Authorization": f"Bearer {ready['apiKey']}", "Content-Type": "application/json"}


def send(method, path, body):
    request = urllib.request.Request(ready["baseUrl"] + path, json.dumps(body).encode(), headers, method=method)
    urllib.request.urlopen(request, timeout=60).close()


# A pass to be retired, so that the sample stays one that can be changed; and one with a form that a person can fill in.
for serial_number in ["TO-RETIRE", "TO-ENROL"]:
    order = {
        "passTypeIdentifier": ready["passTypeIdentifier"],
        "serialNumber": serial_number,
        "ticketStyle": "event",
        "content": {"description": "A pass of its own"},
    }
    send("POST", "/manage/v1/passes", order)
form = {"requiredPersonalizationFields": ["PKPassPersonalizationFieldName"], "description": "Join the club."}
send("PUT", f"/manage/v1/passes/{ready['passTypeIdentifier']}/TO-ENROL/personalization", form)
values = ready | {"token": json.loads(package.read("pass.json"))["authenticationToken"]}
template = string.Template(pathlib.Path(__file__).with_name("settings.toml").read_text())
settings = pathlib.Path(sys.argv[2])
settings.touch(mode=0o600)
settings.write_text(template.substitute(values))
print(ready["baseUrl"])
