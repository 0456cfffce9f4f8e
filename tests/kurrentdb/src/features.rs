//! The services that say who the server is: its nodes, its version, and the methods that it has.

use std::net::SocketAddr;

use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::protocol::client::gossip::member_info::VNodeState;
use crate::protocol::client::gossip::{ClusterInfo, EndPoint, MemberInfo, gossip_server};
use crate::protocol::client::server_features::{SupportedMethod, SupportedMethods, server_features_server};
use crate::protocol::structured;
use crate::state::ticks;

/// What it says it is: a version of which clients expect these methods.
const VERSION: &str = "25.1.0";

/// What is served: the method, its service, and what the method can do beside what it always could.
const METHODS: &[(&str, &str, &[&str])] = &[
    ("read", "event_store.client.streams.streams", &["position", "events"]),
    ("append", "event_store.client.streams.streams", &[]),
    ("delete", "event_store.client.streams.streams", &[]),
    ("tombstone", "event_store.client.streams.streams", &[]),
    ("batchappend", "event_store.client.streams.streams", &["deadline_duration"]),
    ("read", "event_store.client.gossip.gossip", &[]),
    ("getsupportedmethods", "event_store.client.server_features.serverfeatures", &[]),
];

/// The methods.
#[derive(Debug)]
pub(crate) struct ServerFeatures;

#[tonic::async_trait]
impl server_features_server::ServerFeatures for ServerFeatures {
    async fn get_supported_methods(&self, _: Request<()>) -> Result<Response<SupportedMethods>, Status> {
        let methods = METHODS.iter().map(|(method, service, features)| SupportedMethod {
            method_name: (*method).to_owned(),
            service_name: (*service).to_owned(),
            features: features.iter().map(|feature| (*feature).to_owned()).collect(),
        });
        let event_store_server_version = VERSION.to_owned();
        Ok(Response::new(SupportedMethods { methods: methods.collect(), event_store_server_version }))
    }
}

/// The nodes: this one, and it leads.
#[derive(Debug)]
pub(crate) struct Gossip {
    pub(crate) address: SocketAddr,
}

#[tonic::async_trait]
impl gossip_server::Gossip for Gossip {
    async fn read(&self, _: Request<()>) -> Result<Response<ClusterInfo>, Status> {
        let member = MemberInfo {
            instance_id: Some(structured(Uuid::from_u128(0x0de0_0000_0000_4000_8000_0000_0000_0001))),
            time_stamp: i64::try_from(ticks()).unwrap_or(i64::MAX),
            state: VNodeState::Leader.into(),
            is_alive: true,
            http_end_point: Some(EndPoint {
                address: self.address.ip().to_string(),
                port: self.address.port().into(),
            }),
        };
        Ok(Response::new(ClusterInfo { members: vec![member] }))
    }
}
