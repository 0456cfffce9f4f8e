//! A disabled organisation: its keys are refused, nothing is pushed, and phones are served.

use honoken_tests::a_ticket;
use honoken_tests::problem::assert_problem;
use http::{Method, StatusCode};
use serde_json::json;

use super::{Cast, Stage, all, assert_each_was_woken};

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_a_disabled_organisation_are_refused_nothing_is_pushed_and_phones_are_served() {
    let Stage { honoken, apns } = Stage::new().await;
    let cast = Cast::of(honoken.ready(), honoken.storage());
    let (pass, fleet) = cast.has_phones("A-1", 2).await;
    cast.settles().await;
    cast.orders("/admin/pusher/pause", StatusCode::OK).await;
    let change = cast.integrator.moves_to("A-1", "2B").await;
    let disable = async |disabled: bool| {
        let body = json!({ "disabled": disabled });
        let answer = cast.operator.request(Method::PATCH, "/admin/organizations/dev", &body).await;
        assert_eq!(answer.assert_status(StatusCode::OK).json()["disabled"], disabled);
    };
    disable(true).await;
    for refused in [
        cast.integrator.get("A-1").await,
        cast.integrator.replace("A-1", &a_ticket("3C")).await,
        cast.integrator.upload("no image").await,
    ] {
        assert_eq!(assert_problem(&refused, 403)["code"], "organization_disabled");
    }
    let served = cast.devices.get(&pass, &[]).await;
    served.assert_status(StatusCode::OK);
    cast.orders("/admin/pusher/resume", StatusCode::OK).await;
    cast.settles().await;
    assert_eq!(apns.count(), 0, "nothing is pushed");
    disable(false).await;
    assert_eq!(cast.deliveries("A-1", &change.etag).await, all(2, "failed"));
    cast.integrator.moves_to("A-1", "4D").await;
    apns.wait_for(2).await;
    cast.settles().await;
    assert_each_was_woken(&apns, &fleet, 1);
}
