"""Uses a client that openapi-python-client has generated, against a running `honoken dev`: use.py READY_FILE FOLDER_OF_CLIENT"""

import importlib
import io
import json
import pathlib
import sys
import zipfile

ready = json.loads(pathlib.Path(sys.argv[1]).read_text())
sys.path.insert(0, sys.argv[2])


def operation(tag, name):
    return importlib.import_module(f"client.api.{tag}.{name}").sync_detailed


client = importlib.import_module("client")
models = importlib.import_module("client.models")
types = importlib.import_module("client.types")
integrator = client.AuthenticatedClient(base_url=ready["baseUrl"], token=ready["apiKey"])
pass_type = ready["passTypeIdentifier"]

downloaded = operation("manage", "download_pass")(pass_type, ready["serialNumber"], client=integrator)
sample = zipfile.ZipFile(io.BytesIO(downloaded.content))
icon = sample.read("icon.png")

uploaded = operation("manage", "upload_blob")(client=integrator, body=types.File(payload=io.BytesIO(icon)))
assert uploaded.status_code == 201, uploaded
order = models.PassOrder.from_dict(
    {
        "passTypeIdentifier": pass_type,
        "serialNumber": "GENERATED-1",
        "ticketStyle": "event",
        "content": {"description": "A ticket", "eventName": "Opening Night", "seat": "1A"},
        "assets": {"icon.png": uploaded.parsed.digest},
    }
)
issued = operation("manage", "issue_pass")(client=integrator, body=order)
assert issued.status_code == 201 and issued.parsed.changed is True, issued

image = types.File(payload=io.BytesIO(icon))
given = operation("manage", "put_pass_asset")(pass_type, "GENERATED-1", "logo.png", client=integrator, body=image)
assert given.status_code == 200 and given.parsed.etag != issued.parsed.etag, given
state = operation("manage", "get_pass_state")(pass_type, "GENERATED-1", client=integrator)
assert state.parsed.serial_number == "GENERATED-1" and "logo.png" in state.parsed.assets.additional_properties, state

content = models.Content.from_dict({"description": "A ticket", "eventName": "Opening Night", "seat": "2B"})
late = operation("manage", "replace_content")(
    pass_type, "GENERATED-1", client=integrator, body=content, if_match=f'"{issued.parsed.etag}"'
)
assert late.status_code == 412 and late.parsed.code == "precondition_failed", late
passes = operation("manage", "list_passes")(client=integrator, q="generated-1")
assert [entry.serial_number for entry in passes.parsed.passes] == ["GENERATED-1"], passes

phone = client.AuthenticatedClient(
    base_url=ready["baseUrl"], prefix="ApplePass", token=json.loads(sample.read("pass.json"))["authenticationToken"]
)
registration = models.DeviceRegistration.from_dict({"pushToken": "00" * 32})
registered = operation("device", "register_device")(
    "ab" * 16, pass_type, ready["serialNumber"], client=phone, body=registration
)
assert registered.status_code == 201, registered
print("the generated Python client works")
