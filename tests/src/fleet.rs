//! Many phones that hold the same passes and wait to be woken.

use std::collections::BTreeMap;
use std::ops::Range;

use http::StatusCode;
use tokio::task::JoinSet;

use crate::device::{device, push_token};
use crate::{Credentials, DeviceRoutes};

/// Registrations that are under way at a time.
const AT_A_TIME: usize = 32;

/// Phones with consecutive numbers; [`device`] and [`push_token`] say who they are.
#[derive(Debug, Clone)]
pub struct Fleet {
    numbers: Range<usize>,
}

impl Fleet {
    /// Registers phones for some passes, each for all of them.
    ///
    /// # Panics
    ///
    /// When one is not taken.
    pub async fn registers(routes: &DeviceRoutes, passes: &[Credentials], numbers: Range<usize>) -> Self {
        let mut under_way = JoinSet::new();
        for number in numbers.clone() {
            if under_way.len() == AT_A_TIME {
                under_way.join_next().await.expect("somebody registers").expect("a phone that registers");
            }
            let (routes, passes) = (routes.clone(), passes.to_vec());
            under_way.spawn(async move {
                for pass in &passes {
                    let registered = routes.register(&device(number), &push_token(number, 0), pass).await;
                    registered.assert_status(StatusCode::CREATED);
                }
            });
        }
        while let Some(registered) = under_way.join_next().await {
            registered.expect("a phone that registers");
        }
        Self { numbers }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Where they are reached.
    pub fn push_tokens(&self) -> Vec<String> {
        self.numbers.clone().map(|number| push_token(number, 0)).collect()
    }

    /// How often each of them is among these push tokens.
    ///
    /// # Panics
    ///
    /// When a token is nobody's.
    #[track_caller]
    pub fn counts<'a>(&self, tokens: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, usize> {
        let mut counts: BTreeMap<String, usize> =
            self.push_tokens().into_iter().map(|token| (token, 0)).collect();
        for token in tokens {
            *counts.get_mut(token).unwrap_or_else(|| panic!("{token} is nobody's push token")) += 1;
        }
        counts
    }
}
