//! The identity of a process, which every line of log output and the metrics carry.

/// The identity of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `SERVICE_NAME`
    pub service: String,
    /// `HONOKEN_RELEASE_VERSION`; default: the version of the program.
    pub version: String,
    /// `GIT_SHA`; default: the commit that the binary was built from.
    pub git_sha: String,
    /// `ENVIRONMENT`, where one was named; the command decides otherwise.
    pub environment: Option<String>,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            service: "honoken".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            git_sha: "unknown".to_owned(),
            environment: None,
        }
    }
}

impl Identity {
    /// The members that every line of log output and `honoken_build_info` have.
    pub fn members(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let members = [
            ("service.name", Some(&self.service)),
            ("service.version", Some(&self.version)),
            ("git.sha", Some(&self.git_sha)),
            ("environment", self.environment.as_ref()),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name, value?.as_str())))
    }
}
