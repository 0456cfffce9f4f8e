//! Passwords of operators: hashed and compared with argon2, a few at a time, and remembered for a minute when they were right.

use std::fmt;
use std::sync::{Arc, OnceLock};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use honoken_office::operators::Role;
use honoken_office::{Office, OfficeError};
use moka::sync::Cache;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::ids::IdSource;
use crate::limits;

/// The longest password, in bytes.
pub const LONGEST_PASSWORD: usize = 1024;

/// A password that could not be hashed or compared.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The stored operators cannot be read.
    #[error(transparent)]
    Office(#[from] OfficeError),
    /// Argon2 failed, or a stored hash is none.
    #[error("a password could not be hashed: {0}")]
    Hash(argon2::password_hash::Error),
    /// The computation ended without a result.
    #[error("the computation of a password's hash ended early")]
    Ended,
}

/// The stored operators, as far as logins are concerned. Clones share their memory.
#[derive(Clone)]
pub struct Operators {
    office: Office,
    ids: Arc<dyn IdSource>,
    permits: Arc<Semaphore>,
    /// Name, password and stored hash that were found to belong together, as a digest under `secret`. The stored hash is read anew for each
    /// request, so a password that was changed is not found here, whichever process changed it.
    right: Cache<[u8; 32], ()>,
    secret: [u8; 32],
    /// Compared in the place of the hash of an operator that does not exist, so that a name is not known by the time of an answer.
    nobody: Arc<OnceLock<String>>,
}

impl fmt::Debug for Operators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operators").finish_non_exhaustive()
    }
}

impl Operators {
    /// The operators of this office.
    pub fn new(office: Office, ids: Arc<dyn IdSource>) -> Self {
        let mut secret = [0; 32];
        ids.fill(&mut secret);
        let right = Cache::builder()
            .max_capacity(limits::LOGINS_REMEMBERED)
            .time_to_live(limits::LOGIN_REMEMBERED)
            .build();
        let permits = Arc::new(Semaphore::new(limits::PASSWORDS_AT_WORK));
        Self { office, ids, permits, right, secret, nobody: Arc::default() }
    }

    /// The role of the operator with this name and password; `None` when there is none.
    ///
    /// # Errors
    /// When the stored operators cannot be read, or the password cannot be compared.
    pub async fn role_of(&self, name: &str, password: &SecretString) -> Result<Option<Role>, PasswordError> {
        if password.expose_secret().len() > LONGEST_PASSWORD {
            return Ok(None);
        }
        let Some(row) = self.office.operator(name).await? else {
            self.compare(self.hash_of_nobody().await?, password).await?;
            return Ok(None);
        };
        let shown = self.digest([name, password.expose_secret(), &row.password_hash]);
        if self.right.contains_key(&shown) {
            return Ok(Some(row.role));
        }
        if !self.compare(row.password_hash, password).await? {
            return Ok(None);
        }
        self.right.insert(shown, ());
        Ok(Some(row.role))
    }

    /// The hash of a password, with a salt of its own, in the PHC format.
    ///
    /// # Errors
    /// When it cannot be computed.
    pub async fn hash(&self, password: &SecretString) -> Result<String, PasswordError> {
        let mut salt = [0; 16];
        self.ids.fill(&mut salt);
        let password = password.clone();
        self.compute(move || {
            let hash = Argon2::default().hash_password_with_salt(password.expose_secret().as_bytes(), &salt);
            hash.map(|hash: PasswordHash| hash.to_string())
        })
        .await?
        .map_err(PasswordError::Hash)
    }

    async fn hash_of_nobody(&self) -> Result<String, PasswordError> {
        if let Some(hash) = self.nobody.get() {
            return Ok(hash.clone());
        }
        let hash = self.hash(&crate::ids::secret(&*self.ids).into()).await?;
        Ok(self.nobody.get_or_init(|| hash).clone())
    }

    async fn compare(&self, hash: String, password: &SecretString) -> Result<bool, PasswordError> {
        let password = password.clone();
        let compared = self.compute(move || {
            let hash = PasswordHash::new(&hash)?;
            Argon2::default().verify_password(password.expose_secret().as_bytes(), &hash)
        });
        match compared.await? {
            Ok(()) => Ok(true),
            Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
            Err(fault) => Err(PasswordError::Hash(fault)),
        }
    }

    /// Computes on a thread of its own, as soon as few others do. A computation whose caller has gone keeps its turn until it ends.
    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| PasswordError::Ended)?;
        let computed = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        computed.await.map_err(|_| PasswordError::Ended)
    }

    fn digest(&self, parts: [&str; 3]) -> [u8; 32] {
        let mut hasher = Sha256::new_with_prefix(self.secret);
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use honoken_domain::ids::UnixSeconds;
    use honoken_office::operators::{Added, NewOperator};

    use super::*;
    use crate::ids::SystemIds;

    async fn office(folder: &tempfile::TempDir) -> Office {
        Office::in_file(&folder.path().join("office.sqlite")).await.unwrap()
    }

    async fn add(operators: &Operators, name: &str, role: Role, password: &str) -> Added {
        let hash = operators.hash(&password.into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$") && !hash.contains(password), "{hash}");
        let revision = format!("first {name}");
        let new = NewOperator { name, role, password_hash: &hash, at: UnixSeconds(1), revision: &revision };
        operators.office.add_operator(new).await.unwrap()
    }

    #[tokio::test]
    async fn an_operator_is_known_by_name_and_password_until_either_changes() {
        let folder = tempfile::tempdir().unwrap();
        let office = office(&folder).await;
        let operators = Operators::new(office.clone(), Arc::new(SystemIds));
        let role =
            async |name: &str, password: &str| operators.role_of(name, &password.into()).await.unwrap();
        assert_eq!(add(&operators, "vera", Role::Viewer, "the password of vera").await, Added::New);
        assert_eq!(add(&operators, "otto", Role::Owner, "the password of otto").await, Added::New);
        for _ in 0..2 {
            assert_eq!(role("vera", "the password of vera").await, Some(Role::Viewer));
            assert_eq!(role("otto", "the password of otto").await, Some(Role::Owner));
            assert_eq!(role("vera", "the password of otto").await, None);
            assert_eq!(role("nobody", "the password of vera").await, None);
        }
        // Another process changes the role, then the password: what this one remembers does not count any more.
        office.change_operator("vera", Some(Role::Operator), None, "second").await.unwrap();
        assert_eq!(role("vera", "the password of vera").await, Some(Role::Operator));
        let hash = operators.hash(&"another password".into()).await.unwrap();
        office.change_operator("vera", None, Some(&hash), "third").await.unwrap();
        assert_eq!(role("vera", "the password of vera").await, None);
        assert_eq!(role("vera", "another password").await, Some(Role::Operator));
        assert!(office.remove_operator("vera").await.unwrap());
        assert_eq!(role("vera", "another password").await, None);
    }

    #[tokio::test]
    async fn what_was_right_is_not_computed_again() {
        let folder = tempfile::tempdir().unwrap();
        let operators = Operators::new(office(&folder).await, Arc::new(SystemIds));
        add(&operators, "vera", Role::Viewer, "the password of vera").await;
        let password = "the password of vera".into();
        assert_eq!(operators.role_of("vera", &password).await.unwrap(), Some(Role::Viewer));
        // With every turn taken, nothing can be computed any more.
        let _turns =
            operators.permits.acquire_many(u32::try_from(limits::PASSWORDS_AT_WORK).unwrap()).await.unwrap();
        assert_eq!(operators.role_of("vera", &password).await.unwrap(), Some(Role::Viewer));
    }

    #[tokio::test]
    async fn two_passwords_are_computed_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let operators = Operators::new(office(&folder).await, Arc::new(SystemIds));
        let at_work = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let computations = (0..8).map(|_| {
            let at_work = at_work.clone();
            operators.compute(move || {
                let now = at_work.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
                std::thread::yield_now();
                at_work.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                now
            })
        });
        for most in futures::future::join_all(computations).await {
            assert!(most.unwrap() <= 2);
        }
    }
}
