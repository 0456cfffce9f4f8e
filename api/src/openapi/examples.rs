//! One example for every body, as the service really sends it. A test checks them against their schemas.

use serde_json::{Value, json};

const DIGEST: &str = "6f1ed002ab5595859014ebf0951522d96f1ed002ab5595859014ebf0951522d9";

/// Of [`crate::manage::change::ChangeAnswer`].
pub fn change_answer() -> Value {
    json!({
        "passTypeIdentifier": "pass.dev.honoken.event",
        "serialNumber": "ORDER-7",
        "etag": DIGEST,
        "updatedAt": "2026-11-21T10:00:00Z",
        "updateTag": "a045723f-14",
        "position": 14,
        "changed": true,
        "projected": true,
        "warnings": []
    })
}

/// Of what a phone would make of a pass.
pub fn lint_report() -> Value {
    json!({
        "acceptable": false,
        "findings": [{
            "severity": "error",
            "code": "date_invalid",
            "pointer": "/content/eventDateISO",
            "detail": "\"tomorrow\" is not a date; write it like 2027-03-01T19:30:00+01:00"
        }]
    })
}

/// Of what a pass says.
pub fn content() -> Value {
    json!({
        "description": "Ticket for the opening night",
        "eventName": "Opening Night",
        "eventDateISO": "2027-05-14T19:30:00+02:00",
        "venueName": "Town Hall",
        "section": "Stalls",
        "seat": "12A",
        "barcodes": [{ "format": "PKBarcodeFormatQR", "message": "ORDER-7", "messageEncoding": "iso-8859-1" }],
        "userInfo": { "visits": 1 }
    })
}

/// Of the order of a pass.
pub fn order() -> Value {
    json!({
        "passTypeIdentifier": "pass.dev.honoken.event",
        "serialNumber": "ORDER-7",
        "ticketStyle": "event",
        "content": content()
    })
}

/// Of the order of a bundle.
pub fn bundle() -> Value {
    json!({ "passes": [
        { "passTypeIdentifier": "pass.dev.honoken.event", "serialNumber": "SAMPLE-1" }
    ] })
}

/// Of the state of a pass.
pub fn pass_state() -> Value {
    json!({
        "passTypeIdentifier": "pass.dev.honoken.event",
        "serialNumber": "ORDER-7",
        "ticketStyle": "event",
        "poster": false,
        "voided": false,
        "content": content(),
        "assets": { "icon.png": DIGEST },
        "etag": DIGEST,
        "updatedAt": "2026-11-21T10:00:00Z",
        "updateTag": "a045723f-14",
        "position": 14,
        "registrations": 2,
        "deliveries": [{
            "device": "1f0c3a…",
            "state": "sent",
            "etag": DIGEST,
            "attempts": 1,
            "createdAt": "2026-11-21T10:00:00.213Z",
            "changedAt": "2026-11-21T10:00:00.305Z",
            "apnsId": "5d2b8c1e-4f0a-4c57-9d3a-0a8f3c1b7e66"
        }]
    })
}

/// Of the state of a pass as it was.
pub fn past_state() -> Value {
    let mut state = pass_state();
    for member in ["registrations", "deliveries"] {
        state.as_object_mut().expect("an object").remove(member);
    }
    state
}

/// Of the order of an API key.
pub fn new_api_key() -> Value {
    json!({ "label": "till", "scopes": ["passes:read", "passes:write"], "expiresAt": "2099-01-01T00:00:00Z" })
}

/// Of the replacement of an API key.
pub fn rotate_api_key() -> Value {
    json!({ "overlapSeconds": 86_400 })
}

/// Of an API key that was made.
pub fn made_api_key() -> Value {
    json!({ "id": "2c70e12b7a06", "key": "honoken_bXkgdmVyeSBvd24gc2VjcmV0IG9mIDMyIGJ5dGVzIQ" })
}

/// Of the API keys of an organisation.
pub fn api_keys() -> Value {
    json!({ "keys": [{
        "id": "2c70e12b7a06",
        "label": "till",
        "scopes": ["passes:read", "passes:write"],
        "createdAt": "2026-11-21T10:00:00Z",
        "expiresAt": "2099-01-01T00:00:00Z",
        "lastUsed": "2026-11-21T12:31:09Z",
        "revoked": false
    }] })
}

/// Of the order of an operator.
pub fn new_operator() -> Value {
    json!({ "name": "vera", "role": "viewer", "password": "correct horse battery staple" })
}

/// Of the change of an operator.
pub fn operator_change() -> Value {
    json!({ "role": "operator" })
}

/// Of an operator.
pub fn operator() -> Value {
    json!({ "name": "vera", "role": "viewer", "createdAt": "2026-11-21T10:00:00Z", "configured": false })
}

/// Of all operators.
pub fn operators() -> Value {
    let configured = json!({ "name": "admin", "role": "owner", "createdAt": null, "configured": true });
    json!({ "operators": [configured, operator()] })
}

/// Of what operators did.
pub fn audit() -> Value {
    json!({
        "entries": [{
            "at": "2026-11-21T10:00:00.123Z",
            "actor": "vera",
            "from": "192.0.2.7",
            "action": "revokeApiKey",
            "target": "/organizations/club/keys/2c70e12b7a06",
            "result": 204
        }],
        "next": null
    })
}

/// Of a pass that was stated anew.
pub fn repaired() -> Value {
    json!({ "changed": true, "projected": true, "position": 15 })
}

/// Of an operator's push.
pub fn pushed() -> Value {
    json!({ "devices": 2 })
}

/// Of a part that an operator has paused.
pub fn paused() -> Value {
    json!({ "paused": true, "since": "2026-11-21T10:00:00.123Z", "by": "operator" })
}

/// Of how waking phones goes.
pub fn pushing() -> Value {
    json!({
        "relay": { "paused": false, "since": null, "by": null, "position": 14, "lag": 0 },
        "pusher": paused(),
        "deliveries": { "pending": 2, "oldestDueAt": "2026-11-21T10:00:01.000Z" },
        "parkedCredentials": [{
            "credential": "key:ABCDE12345:KEY1234567:5d2b8c1e",
            "passTypeIdentifier": "pass.dev.honoken.event",
            "reason": "403 InvalidProviderToken",
            "parkedAt": "2026-11-21T09:58:00.000Z",
            "probeAt": "2026-11-21T10:13:00.000Z"
        }],
        "parkedMessages": 0
    })
}

/// Of messages that can never succeed.
pub fn parked_messages() -> Value {
    json!({ "messages": [{
        "id": "0b6f1c5e-9a52-4d3e-8a53-2f6d1e0a7c44",
        "payload": "{\"eventId\": 7}",
        "reason": "invalid type: integer `7`, expected a UUID",
        "requestId": null,
        "parkedAt": "2026-11-21T09:58:00.000Z"
    }] })
}

/// Of a page of passes.
pub fn pass_list() -> Value {
    let mut pass = pass_state();
    if let Some(pass) = pass.as_object_mut() {
        pass.retain(|key, _| !["content", "assets", "deliveries"].contains(&key.as_str()));
    }
    json!({ "passes": [pass], "next": "cGFzcy5kZXYuaG9ub2tlbi5ldmVudC9PUkRFUi03" })
}

/// Of a job.
pub fn job() -> Value {
    json!({
        "id": "019aa62d-8c00-7000-8000-5b1f6a3c9d10",
        "kind": "passTypeAssets",
        "passTypeIdentifier": "pass.dev.honoken.event",
        "state": "running",
        "done": 750,
        "total": 2000,
        "failed": 1,
        "failures": [{
            "passTypeIdentifier": "pass.dev.honoken.event",
            "serialNumber": "ORDER-7",
            "code": "missing_image",
            "detail": "the pass would be left without an `icon` image, which it needs, and keeps the image it has"
        }],
        "startedAt": "2026-11-21T10:00:00Z",
        "finishedAt": null
    })
}

/// Of a job that seals secrets anew.
pub fn resealing() -> Value {
    json!({
        "job": {
            "id": "019aa62d-8c00-7000-8000-5b1f6a3c9d11",
            "kind": "reseal",
            "state": "running",
            "done": 0,
            "total": 12,
            "failed": 0,
            "failures": [],
            "startedAt": "2026-11-21T10:00:00Z",
            "finishedAt": null,
            "encryptionKey": 2,
            "leftOut": ["the APNs key ABC1234567 (ABCDE12345/ABC1234567)"]
        }
    })
}

/// Of a change that a job brings to the passes.
pub fn asset_change() -> Value {
    let mut job = job();
    for (key, value) in
        [("state", json!("waiting")), ("done", json!(0)), ("failed", json!(0)), ("failures", json!([]))]
    {
        job[key] = value;
    }
    (job["total"], job["startedAt"]) = (Value::Null, Value::Null);
    json!({ "changed": true, "job": job })
}

/// Of one that changed nothing.
pub fn no_asset_change() -> Value {
    json!({ "changed": false })
}

/// Of another look.
pub fn metadata() -> Value {
    json!({ "ticketStyle": "event", "poster": false })
}

/// Of a change to some keys of a content.
pub fn merge_patch() -> Value {
    json!({ "seat": "15D", "section": null })
}

/// Of a change to a content, step by step.
pub fn json_patch() -> Value {
    json!([
        { "op": "test", "path": "/seat", "value": "15D" },
        { "op": "replace", "path": "/seat", "value": "16E" }
    ])
}

/// Of an increment.
pub fn increment() -> Value {
    json!({ "pointer": "/userInfo/visits", "by": 1 })
}

/// Of the state to bring back.
pub fn restoration() -> Value {
    json!({ "position": 14 })
}

/// Of a page of a history.
pub fn history() -> Value {
    json!({
        "events": [{
            "sequence": 2,
            "type": "PassVoided",
            "version": "1",
            "recordedAt": "2026-11-21T10:00:00.123Z",
            "actor": "api-key:6f1ed002ab55",
            "data": { "etag": DIGEST, "updatedAt": 1_795_255_200 }
        }],
        "next": null
    })
}

/// Of the texts of a language.
pub fn localization() -> Value {
    json!({ "strings": { "Gate": "Tor", "Doors open at 7 pm": "Einlass ab 19 Uhr" } })
}

/// Of an uploaded image.
pub fn uploaded() -> Value {
    json!({ "digest": DIGEST })
}

/// Of a phone's registration.
pub fn registration() -> Value {
    json!({ "pushToken": "0f3a1c9e77b2" })
}

/// Of a registration that was imported.
pub fn registration_answer() -> Value {
    json!({
        "passTypeIdentifier": "pass.dev.honoken.event",
        "serialNumber": "ORDER-7",
        "device": "012345…",
        "changed": true,
        "projected": true
    })
}

/// Of a list of passes that changed.
pub fn updated_passes() -> Value {
    json!({ "serialNumbers": ["ORDER-7"], "lastUpdated": "a045723f-14" })
}

/// Of what a phone complains about.
pub fn phone_log() -> Value {
    json!({ "logs": ["[2026-11-21 10:00:00 +0000] Get pass task encountered error: Authentication failure"] })
}

/// Of the projections.
pub fn projections() -> Value {
    json!({ "projections": [projection()] })
}

/// Of a projection whose tables are filled again.
pub fn projection() -> Value {
    json!({
        "name": "wallet",
        "version": 9,
        "position": 2_000_000,
        "head": 2_000_000,
        "parked": 0,
        "place": "read_model.sqlite",
        "rebuild": {
            "id": "2",
            "state": "filling",
            "position": 500_000,
            "target": 2_000_000,
            "eventsPerSecond": 30_000,
            "secondsLeft": 50,
            "hold": false,
            "compare": null
        },
        "lastRebuild": null,
        "kept": null
    })
}

/// Of a rebuild that takes over by itself.
pub fn rebuild() -> Value {
    json!({ "hold": false })
}

/// Of parked events.
pub fn parked() -> Value {
    json!({ "parked": [{
        "position": 17,
        "aggregateType": "Pass",
        "aggregateId": "pass.dev.honoken.event/ORDER-7",
        "sequence": 3,
        "eventType": "PassContentChanged",
        "error": "missing field `etag`",
        "waiting": false
    }] })
}

/// Of a reason for skipping.
pub fn skip() -> Value {
    json!({ "reason": "a pass of a test, on no phone" })
}

/// Of the form of a rewards programme.
pub fn form() -> Value {
    json!({
        "requiredPersonalizationFields": ["PKPassPersonalizationFieldName", "PKPassPersonalizationFieldEmailAddress"],
        "description": "Join the club and collect points.",
        "termsAndConditions": "<a href=\"https://example.com/terms\">Terms and conditions</a>"
    })
}

/// Of a form that a person has filled in.
pub fn personalization() -> Value {
    let mut form = form();
    form["person"] = filled_in_form()["requiredPersonalizationInfo"].take();
    form
}

/// Of what a phone sends when a person has filled in a form.
pub fn filled_in_form() -> Value {
    json!({
        "personalizationToken": "MDEyMzQ1Njc4OWFiY2RlZg==",
        "requiredPersonalizationInfo": {
            "fullName": "Ada Lovelace",
            "givenName": "Ada",
            "familyName": "Lovelace",
            "emailAddress": "ada@example.com"
        }
    })
}

/// Of a certificate that an operator sends.
pub fn certificate_order() -> Value {
    let pem = |what: &str| format!("-----BEGIN {what}-----\n…\n-----END {what}-----\n");
    json!({
        "bundleData": {
            "wwdr": pem("CERTIFICATE"),
            "signerCert": pem("CERTIFICATE"),
            "signerKey": pem("PRIVATE KEY"),
            "signerKeyPassphrase": ""
        },
        "isEnhanced": false,
        "teamId": "ABCDE12345",
        "description": "Tickets of the club",
        "organization": "club"
    })
}

/// Of a certificate.
pub fn certificate() -> Value {
    json!({
        "certRef": "club-2026",
        "passTypeIdentifier": "pass.com.example.ticket",
        "teamIdentifier": "ABCDE12345",
        "isEnhanced": false,
        "description": "Tickets of the club",
        "notBefore": "2026-11-21T10:00:00Z",
        "notAfter": "2027-12-21T10:00:00Z",
        "daysLeft": 395,
        "fingerprint": DIGEST,
        "revision": DIGEST,
        "installedAt": "2026-11-21T10:00:00Z",
        "keyVersion": 1,
        "state": "good",
        "passTypes": ["pass.com.example.ticket"],
        "requested": false,
        "warnings": []
    })
}

/// Of the answer to an order.
pub fn certificate_change() -> Value {
    let mut certificate = certificate();
    certificate["changed"] = true.into();
    certificate
}

/// Of a page of certificates.
pub fn certificates() -> Value {
    json!({ "certs": [certificate()], "next": null })
}

/// Of what a certificate is requested for.
pub fn certificate_request_order() -> Value {
    json!({ "passTypeIdentifier": "pass.com.example.ticket", "teamId": "ABCDE12345" })
}

/// Of a request.
pub fn certificate_request() -> Value {
    json!({ "csr": "-----BEGIN CERTIFICATE REQUEST-----\n…\n-----END CERTIFICATE REQUEST-----\n" })
}

/// Of the owner of a pass type.
pub fn pass_type_order() -> Value {
    json!({ "organization": "dev", "certRef": "pass.dev.honoken.event" })
}

/// Of a pass type.
pub fn pass_type() -> Value {
    json!({
        "passTypeIdentifier": "pass.com.example.ticket",
        "organization": "club",
        "certRef": "club-2026",
        "teamIdentifier": "ABCDE12345"
    })
}

/// Of a pass type after an order.
pub fn pass_type_change() -> Value {
    let mut pass_type = pass_type();
    pass_type["changed"] = true.into();
    pass_type
}

/// Of a page of pass types.
pub fn pass_types() -> Value {
    json!({ "passTypes": [pass_type()], "next": null })
}

/// Of an APNs key that an operator sends.
pub fn apns_key_order() -> Value {
    let p8 = "-----BEGIN PRIVATE KEY-----\n…\n-----END PRIVATE KEY-----\n";
    json!({ "teamId": "ABCDE12345", "keyId": "KEY1234567", "p8": p8, "isActive": true })
}

/// Of an APNs key.
pub fn apns_key() -> Value {
    json!({
        "keyRef": "club-push",
        "teamId": "ABCDE12345",
        "keyId": "KEY1234567",
        "isActive": true,
        "state": "in use",
        "problem": null,
        "fingerprint": DIGEST,
        "installedAt": "2026-11-21T10:00:00Z",
        "keyVersion": 1
    })
}

/// Of the answer to an order.
pub fn apns_key_change() -> Value {
    let mut key = apns_key();
    key["changed"] = true.into();
    key
}

/// Of the APNs keys.
pub fn apns_keys() -> Value {
    json!({ "apnsKeys": [apns_key()] })
}

/// Of what APNs says about a key.
pub fn apns_key_trial() -> Value {
    json!({ "result": "taken", "reason": null, "passTypeIdentifier": "pass.com.example.ticket" })
}

/// Of a new organisation.
pub fn organization_order() -> Value {
    json!({ "id": "club", "name": "The Club", "test": false })
}

/// Of what is to be different about an organisation.
pub fn organization_change() -> Value {
    json!({ "name": "The Club at the Lake", "disabled": false, "imageBytes": 50_000_000 })
}

/// Of an organisation.
pub fn organization() -> Value {
    json!({ "id": "club", "name": "The Club at the Lake", "test": false, "disabled": false, "imageBytes": 50_000_000 })
}

/// Of a page of organisations.
pub fn organizations() -> Value {
    json!({ "organizations": [organization()], "next": null })
}
