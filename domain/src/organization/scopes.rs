//! What the holder of an API key may do.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One permission of an API key. The set is closed; the names are a promise to callers and to the event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// See passes, their files and their histories. Whoever may issue or change passes sees them too.
    #[serde(rename = "passes:read")]
    PassesRead,
    /// Issue passes and change them, their images and the images of their type.
    #[serde(rename = "passes:write")]
    PassesWrite,
    /// Issue passes, also with an authentication token that phones know already, and register devices in the place of phones: for passes that
    /// another service has issued.
    #[serde(rename = "passes:import")]
    PassesImport,
    /// Erase the content of passes for ever.
    #[serde(rename = "passes:erase")]
    PassesErase,
    /// Upload images, and change those of passes and of their types.
    #[serde(rename = "assets:write")]
    AssetsWrite,
    /// Make and revoke links from which passes are added.
    #[serde(rename = "links:write")]
    LinksWrite,
    /// Make, change and remove webhooks.
    #[serde(rename = "webhooks:write")]
    WebhooksWrite,
    /// Start jobs that change many passes, and control them.
    #[serde(rename = "jobs:write")]
    JobsWrite,
    /// Change and publish templates.
    #[serde(rename = "templates:write")]
    TemplatesWrite,
}

impl Scope {
    /// Every scope, in the order in which they are listed.
    pub const ALL: [Self; 9] = [
        Self::PassesRead,
        Self::PassesWrite,
        Self::PassesImport,
        Self::PassesErase,
        Self::AssetsWrite,
        Self::LinksWrite,
        Self::WebhooksWrite,
        Self::JobsWrite,
        Self::TemplatesWrite,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PassesRead => "passes:read",
            Self::PassesWrite => "passes:write",
            Self::PassesImport => "passes:import",
            Self::PassesErase => "passes:erase",
            Self::AssetsWrite => "assets:write",
            Self::LinksWrite => "links:write",
            Self::WebhooksWrite => "webhooks:write",
            Self::JobsWrite => "jobs:write",
            Self::TemplatesWrite => "templates:write",
        }
    }

    /// Reads a name.
    ///
    /// # Errors
    /// [`UnknownScope`] names the known ones.
    pub fn parse(name: &str) -> Result<Self, UnknownScope> {
        let known = Self::ALL.into_iter().find(|scope| scope.as_str() == name);
        known.ok_or_else(|| UnknownScope { name: name.to_owned() })
    }

    /// Whether only a key has it that was made with it: what it allows cannot be undone, or takes the place of a phone.
    const fn is_only_given_by_name(self) -> bool {
        matches!(self, Self::PassesImport | Self::PassesErase)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A name that no scope has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no scope `{name}`; the scopes are {}", Scope::ALL.map(|scope| format!("`{scope}`")).join(", "))]
pub struct UnknownScope {
    name: String,
}

/// The scopes that a key was made with.
///
/// A key that was made without any, or before there were scopes, stores none and has all but `passes:import` and `passes:erase`, those of later
/// releases included.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(Option<BTreeSet<Scope>>);

impl Scopes {
    /// Every scope of this release.
    pub fn all() -> Self {
        Self::of(Scope::ALL)
    }

    /// These, and no other.
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self(Some(scopes.into_iter().collect()))
    }

    /// Whether none were named.
    pub fn are_default(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a key with these scopes has this one.
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.as_ref().map_or(!scope.is_only_given_by_name(), |named| named.contains(&scope))
    }

    /// All that a key with these scopes has, in the order in which they are listed.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        Scope::ALL.into_iter().filter(|scope| self.allow(*scope)).map(Scope::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_is_known_by_the_name_that_is_stored() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Ok(scope));
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
        }
    }

    #[test]
    fn an_unknown_name_is_told_the_known_ones() {
        for wrong in ["", "passes", "passes:Write", " passes:write", "assets:read"] {
            let said = Scope::parse(wrong).unwrap_err().to_string();
            assert!(said.contains(&format!("`{wrong}`")), "{said}");
            assert!(Scope::ALL.iter().all(|scope| said.contains(scope.as_str())), "{said}");
        }
    }

    #[test]
    fn a_key_without_scopes_has_all_but_those_that_are_only_given_by_name() {
        let names: Vec<_> = Scopes::default().names().collect();
        let usual = [
            "passes:read",
            "passes:write",
            "assets:write",
            "links:write",
            "webhooks:write",
            "jobs:write",
            "templates:write",
        ];
        assert_eq!(names, usual);
        assert_eq!(Scopes::all().names().count(), Scope::ALL.len());
    }

    #[test]
    fn a_key_with_scopes_has_those_alone() {
        let import = Scopes::of([Scope::PassesImport]);
        assert!(import.allow(Scope::PassesImport) && !import.allow(Scope::PassesWrite));
        assert_eq!(Scopes::of([]).names().count(), 0);
    }
}
