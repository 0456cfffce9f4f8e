//! The operators that are stored, beside the one that is configured. A password is kept as its argon2 hash alone.

use std::fmt;

use honoken_database::statements::{Row, sql};
use honoken_domain::ids::UnixSeconds;

use crate::{Office, OfficeError, invalid};

/// The most operators that are stored.
pub const MOST_OPERATORS: i64 = 200;

/// What an operator may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sees everything and changes nothing.
    Viewer,
    /// Does everything but what concerns operators.
    Operator,
    /// Does everything.
    Owner,
}

impl Role {
    /// Every role, in the order of what they may do.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Owner];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Owner => "owner",
        }
    }

    /// Reads a name.
    ///
    /// # Errors
    /// [`UnknownRole`] names the known ones.
    pub fn parse(name: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == name).ok_or(UnknownRole)
    }
}

/// A name that no role has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the roles are `viewer`, `operator` and `owner`")]
pub struct UnknownRole;

/// A stored operator.
#[derive(Clone, PartialEq, Eq)]
pub struct OperatorRow {
    /// The name.
    pub name: String,
    /// What the operator may do.
    pub role: Role,
    /// The argon2 hash of the password, in the PHC format.
    pub password_hash: String,
    /// When the operator was added.
    pub created_at: UnixSeconds,
    /// Another value after each change.
    revision: String,
}

impl fmt::Debug for OperatorRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperatorRow")
            .field("name", &self.name)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

/// An operator who is added.
pub struct NewOperator<'a> {
    /// The name.
    pub name: &'a str,
    /// What the operator may do.
    pub role: Role,
    /// The argon2 hash of the password.
    pub password_hash: &'a str,
    /// Now.
    pub at: UnixSeconds,
    /// A value of its own for each attempt to write.
    pub revision: &'a str,
}

/// The result of an attempt to add an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// The operator is there.
    New,
    /// Another one has the name.
    NameTaken,
    /// There are [`MOST_OPERATORS`] already.
    TooMany,
}

impl Office {
    /// The operator of this name.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn operator(&self, name: &str) -> Result<Option<OperatorRow>, OfficeError> {
        let select =
            sql("select name, role, password_hash, created_at, revision from operator where name = $1");
        let rows = self.run(READING, select.bind(name)).await?;
        rows.first().map(row).transpose().map_err(|source| OfficeError { doing: READING, source })
    }

    /// Every stored operator, by name.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn operators(&self) -> Result<Vec<OperatorRow>, OfficeError> {
        let select =
            sql("select name, role, password_hash, created_at, revision from operator order by name");
        let rows = self.run(READING, select).await?;
        rows.iter()
            .map(row)
            .collect::<sqlx::Result<_>>()
            .map_err(|source| OfficeError { doing: READING, source })
    }

    /// Adds an operator.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn add_operator(&self, new: NewOperator<'_>) -> Result<Added, OfficeError> {
        let insert = sql("insert into operator (name, role, password_hash, created_at, revision)
             select $1, $2, $3, $4, $5 where (select count(*) from operator) < $6
             on conflict do nothing");
        let insert = insert.bind(new.name).bind(new.role.as_str()).bind(new.password_hash);
        let insert = insert.bind(new.at.0).bind(new.revision).bind(MOST_OPERATORS);
        self.run("adding an operator", insert).await?;
        // A statement that was repeated after a lost answer finds its own row.
        Ok(match self.operator(new.name).await? {
            Some(row) if row.revision == new.revision => Added::New,
            Some(_) => Added::NameTaken,
            None => Added::TooMany,
        })
    }

    /// Gives an operator another role, another password, or both. Returns whether there is one of this name.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn change_operator(
        &self,
        name: &str,
        role: Option<Role>,
        password_hash: Option<&str>,
        revision: &str,
    ) -> Result<bool, OfficeError> {
        let update =
            sql("update operator set role = coalesce($2, role), password_hash = coalesce($3, password_hash),
                    revision = $4
             where name = $1");
        let update = update.bind(name).bind(role.map(Role::as_str)).bind(password_hash).bind(revision);
        self.run("changing an operator", update).await?;
        Ok(self.operator(name).await?.is_some())
    }

    /// Removes an operator. Returns whether there was one of this name.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn remove_operator(&self, name: &str) -> Result<bool, OfficeError> {
        let was_there = self.operator(name).await?.is_some();
        let delete = sql("delete from operator where name = $1");
        self.run("removing an operator", delete.bind(name)).await?;
        Ok(was_there)
    }
}

const READING: &str = "reading operators";

fn row(row: &Row) -> sqlx::Result<OperatorRow> {
    Ok(OperatorRow {
        name: row.get("name")?,
        role: Role::parse(&row.get::<String>("role")?).map_err(invalid)?,
        password_hash: row.get("password_hash")?,
        created_at: UnixSeconds(row.get("created_at")?),
        revision: row.get("revision")?,
    })
}
