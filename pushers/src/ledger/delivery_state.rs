//! The state of a delivery, and its name in tables, answers and metrics.

/// The name of [`DeliveryState::Pending`] within a statement: an index covers the rows that it is written out for.
macro_rules! pending {
    () => {
        "pending"
    };
}
pub(super) use pending;

/// The state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// A push is to be sent.
    Pending,
    /// APNs has accepted the push.
    Sent,
    /// It was given up; the last error says why.
    Failed,
    /// Another push stands for it, or the phone no longer holds the pass.
    Superseded,
    /// The push token was dead.
    Dead,
}

impl DeliveryState {
    const ALL: [Self; 5] = [Self::Pending, Self::Sent, Self::Failed, Self::Superseded, Self::Dead];

    /// Those after which nothing more becomes of the delivery.
    pub fn all_final() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|state| state.is_final())
    }

    /// Its name, as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => pending!(),
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
            Self::Dead => "dead",
        }
    }

    /// Whether nothing more becomes of the delivery.
    pub fn is_final(self) -> bool {
        self != Self::Pending
    }

    pub(super) fn parse(name: &str) -> sqlx::Result<Self> {
        let known = Self::ALL.into_iter().find(|state| state.as_str() == name);
        known.ok_or_else(|| sqlx::Error::Decode(format!("unknown state {name:?}").into()))
    }
}
