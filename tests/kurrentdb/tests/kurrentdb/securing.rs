//! TLS, and who may come in.

use eventstore::{Error, StreamState};
use honoken_test_kurrentdb::Kurrent;

use super::{append, client, numbers, soon};

#[tokio::test]
async fn with_tls_only_its_user_comes_in() {
    let Some(kurrent) = Kurrent::secured_with_faults() else { return };
    let (ours, stream) = (client(&kurrent), Kurrent::fresh_prefix());
    append(&ours, &stream, [1]).await;
    let batch = ours.batch_append(&eventstore::BatchAppendOptions::default()).await.unwrap();
    soon(batch.append_to_stream(&stream, StreamState::Any, vec![super::note(2)])).await.unwrap();
    assert_eq!(numbers(&ours, &stream).await.unwrap(), [1, 2]);
    let address = kurrent.connection_string();
    for stranger in [address.replace("changeit", "guessed"), address.replace("admin:changeit@", "")] {
        let stranger = eventstore::Client::new(stranger.parse().unwrap()).unwrap();
        let refused = numbers(&stranger, &stream).await;
        assert!(matches!(refused, Err(Error::AccessDenied)), "{refused:?}");
    }
    let untrusting = address.split("&tlsCaFile").next().unwrap().parse().unwrap();
    let refused = numbers(&eventstore::Client::new(untrusting).unwrap(), &stream).await;
    assert!(refused.is_err(), "its authority is not one of the machine's");
}

#[tokio::test]
async fn with_tls_it_can_be_stopped_and_cut_and_comes_back() {
    let Some(kurrent) = Kurrent::secured_with_faults() else { return };
    let stream = Kurrent::fresh_prefix();
    append(&client(&kurrent), &stream, [1]).await;
    kurrent.stop();
    assert!(numbers(&client(&kurrent), &stream).await.is_err());
    kurrent.start_again();
    assert_eq!(numbers(&client(&kurrent), &stream).await.unwrap(), [1]);
    kurrent.cut_connections();
    assert_eq!(numbers(&client(&kurrent), &stream).await.unwrap(), [1]);
}
