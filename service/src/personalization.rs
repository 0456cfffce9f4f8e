//! The persons who enrol in rewards programmes with their passes: their phones' tokens are signed, and their data is sealed.
//!
//! A person is sealed under a key of the pass alone, and that key, sealed under an encryption key of the service, is in the vault, outside the event
//! log. Destroying it makes the person unreadable wherever the event log was copied.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use honoken_domain::ids::{Digest, PassId, UnixSeconds};
use honoken_domain::personalization::{Enrolment, PersonalizationForm, TokenSignature};
use honoken_domain::sealed::{KEY_BYTES, Sealed, SealingKey, SealingKeys, UnsealError};
use honoken_pkpass::PersonalizationToken;
use honoken_vault::{Vault, VaultError};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::encryption_keys::HOW_TO_SET;
use crate::ids::{self, IdSource};
use crate::signers::{NoSigner, Signers};

/// The number of a pass's own key, under which its persons are sealed.
const OF_PASS: u32 = 1;

/// The data of a person, by Apple's names for it.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Person(BTreeMap<String, String>);

impl Person {
    /// The part of what a phone sent that the form asks for: nothing else is kept.
    pub fn asked_for(form: &PersonalizationForm, sent: &BTreeMap<String, String>) -> Self {
        let members = form.required_personalization_fields.iter().flat_map(|field| field.members());
        let kept = members.filter_map(|name| Some(((*name).to_owned(), sent.get(*name)?.clone())));
        Self(kept.collect())
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Person([redacted])")
    }
}

/// Why a token was not signed, or a person not sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum PersonalizationFailure {
    /// No certificate of the pass type can sign now; with the reason, and what to do.
    #[error("a token cannot be signed: {0}")]
    NoCertificate(String),
    /// The certificate could not be read.
    #[error(transparent)]
    Store(NoSigner),
    /// OpenSSL did not sign.
    #[error("a token could not be signed")]
    Signature(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// This process has no encryption keys.
    #[error("the keys of personal data cannot be opened without an encryption key: {HOW_TO_SET}")]
    NoKeys,
    /// The key of a pass, or what is sealed under it, does not open.
    #[error("personal data does not open")]
    Sealed(#[source] UnsealError),
    /// What opened is no person.
    #[error("opened personal data cannot be read")]
    Unreadable,
    /// The vault is unavailable.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// The keys of some passes, sealed under the current encryption key.
#[derive(Debug)]
pub struct ResealedKeys {
    /// The last pass of them.
    pub last: PassId,
    /// The number of keys, those included that were under the current encryption key before.
    pub looked_at: u64,
    /// Those that were sealed anew.
    pub resealed: u64,
    /// The passes whose keys could not be, and why.
    pub failures: Vec<(PassId, PersonalizationFailure)>,
}

/// Signs tokens, and seals and opens persons.
#[derive(Clone)]
pub struct Personalizations {
    vault: Vault,
    signers: Signers,
    keys: Option<SealingKeys>,
    ids: Arc<dyn IdSource>,
}

impl fmt::Debug for Personalizations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Personalizations").finish_non_exhaustive()
    }
}

impl Personalizations {
    /// Over this vault, with these certificates and encryption keys.
    pub fn new(vault: Vault, signers: Signers, keys: Option<SealingKeys>, ids: Arc<dyn IdSource>) -> Self {
        Self { vault, signers, keys, ids }
    }

    /// The answer to a phone: the signature over its token.
    ///
    /// # Errors
    /// When no certificate of the pass type can sign now.
    pub async fn sign(
        &self,
        pass: &PassId,
        token: PersonalizationToken,
        now: UnixSeconds,
    ) -> Result<TokenSignature, PersonalizationFailure> {
        let pass_type = &pass.pass_type_identifier;
        let certified = self.signers.usable(pass_type, now).map_err(PersonalizationFailure::NoCertificate)?;
        let signer = self.signers.load(pass_type, &certified).await.map_err(|fault| match fault {
            NoSigner::None(why) => PersonalizationFailure::NoCertificate(why),
            NoSigner::Unavailable(_) => PersonalizationFailure::Store(fault),
        })?;
        let outcome = tokio::task::spawn_blocking(move || token.sign(&signer.identity)).await;
        let outcome = outcome.map_err(|fault| PersonalizationFailure::Signature(fault.into()))?;
        outcome.map(TokenSignature::new).map_err(|fault| PersonalizationFailure::Signature(fault.into()))
    }

    /// Seals a person under the key of the pass, which is made if it has none.
    ///
    /// # Errors
    /// When there is no encryption key, or the vault is unavailable.
    pub async fn seal(
        &self,
        pass: &PassId,
        token: &Digest,
        person: &Person,
    ) -> Result<Sealed, PersonalizationFailure> {
        let new = self.seal_key(pass, &ids::encryption_key(&*self.ids))?;
        let key = self.open_key(pass, &self.vault.key_or(pass, &new).await?)?;
        let text = serde_json::to_vec(person).map_err(|_| PersonalizationFailure::Unreadable)?;
        let text = Zeroizing::new(text);
        Ok(key.seal(&text, &Enrolment::owner(pass, token), ids::nonce(&*self.ids)))
    }

    /// Opens a person; `None` when the key of the pass was destroyed.
    ///
    /// # Errors
    /// When there is no encryption key, it does not fit, or the vault is unavailable.
    pub async fn open(
        &self,
        pass: &PassId,
        token: &Digest,
        person: &Sealed,
    ) -> Result<Option<Person>, PersonalizationFailure> {
        let Some(key) = self.vault.key(pass).await? else { return Ok(None) };
        let key = self.open_key(pass, &key)?;
        let text =
            key.open(person, &Enrolment::owner(pass, token)).map_err(PersonalizationFailure::Sealed)?;
        serde_json::from_slice(&text).map(Some).map_err(|_| PersonalizationFailure::Unreadable)
    }

    /// Destroys the key of a pass: no person who has enrolled with it can be read any more.
    ///
    /// # Errors
    /// When the vault is unavailable.
    pub async fn destroy(&self, pass: &PassId) -> Result<(), PersonalizationFailure> {
        Ok(self.vault.destroy(pass).await?)
    }

    /// The number of keys in the vault.
    ///
    /// # Errors
    /// When the vault is unavailable.
    pub async fn keys(&self) -> Result<u64, PersonalizationFailure> {
        Ok(self.vault.count().await?)
    }

    /// Seals the keys of the next passes behind one under the current encryption key, as far as they are under another. `None` when there is no
    /// pass behind it.
    ///
    /// # Errors
    /// When there is no encryption key, or the vault is unavailable.
    pub async fn reseal_behind(
        &self,
        after: Option<&PassId>,
        limit: u32,
    ) -> Result<Option<ResealedKeys>, PersonalizationFailure> {
        let current = self.keys.as_ref().ok_or(PersonalizationFailure::NoKeys)?.current();
        let page = self.vault.page(after, limit).await?;
        let Some((last, _)) = page.last() else { return Ok(None) };
        let (last, looked_at) = (last.clone(), page.len() as u64);
        let mut done = ResealedKeys { last, looked_at, resealed: 0, failures: Vec::new() };
        for (pass, old) in page.into_iter().filter(|(_, key)| key.key_version() != current) {
            match self.opened_key(&pass, &old).and_then(|key| self.seal_key(&pass, &key)) {
                Ok(new) => {
                    self.vault.reseal(&pass, &old, &new).await?;
                    done.resealed += 1;
                }
                Err(fault) => done.failures.push((pass, fault)),
            }
        }
        Ok(Some(done))
    }

    fn seal_key(&self, pass: &PassId, key: &[u8; KEY_BYTES]) -> Result<Sealed, PersonalizationFailure> {
        let keys = self.keys.as_ref().ok_or(PersonalizationFailure::NoKeys)?;
        Ok(keys.seal(key, &owner_of_key(pass), ids::nonce(&*self.ids)))
    }

    fn opened_key(
        &self,
        pass: &PassId,
        sealed: &Sealed,
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, PersonalizationFailure> {
        let keys = self.keys.as_ref().ok_or(PersonalizationFailure::NoKeys)?;
        let opened = keys.open(sealed, &owner_of_key(pass)).map_err(PersonalizationFailure::Sealed)?;
        let bytes = opened.as_slice().try_into().map_err(|_| PersonalizationFailure::Unreadable)?;
        Ok(Zeroizing::new(bytes))
    }

    fn open_key(&self, pass: &PassId, sealed: &Sealed) -> Result<SealingKeys, PersonalizationFailure> {
        let key = SealingKey::new(*self.opened_key(pass, sealed)?);
        Ok(SealingKeys::new([(OF_PASS, key)].into(), OF_PASS).expect("the current key was just put in"))
    }
}

/// Whose a sealed key is, so that it opens nowhere else.
fn owner_of_key(pass: &PassId) -> String {
    format!("person-key/{pass}")
}

#[cfg(test)]
mod tests {
    use honoken_domain::personalization::PersonalizationField;

    use super::*;
    use crate::ids::SystemIds;

    fn keys(current: u32) -> SealingKeys {
        let keys = [(1, SealingKey::new([1; 32])), (2, SealingKey::new([2; 32]))];
        SealingKeys::new(keys.into(), current).unwrap()
    }

    fn over(vault: &Vault, keys: Option<SealingKeys>) -> Personalizations {
        Personalizations::new(vault.clone(), Signers::none(), keys, Arc::new(SystemIds))
    }

    fn person() -> Person {
        Person([("emailAddress".to_owned(), "ada@example.com".to_owned())].into())
    }

    fn pass(serial: &str) -> PassId {
        PassId::parse(&format!("pass.com.example/{serial}")).unwrap()
    }

    #[test]
    fn only_what_the_form_asks_for_is_kept() {
        let form = PersonalizationForm {
            required_personalization_fields: vec![PersonalizationField::EmailAddress],
            description: "Join".into(),
            terms_and_conditions: None,
        };
        let sent = ["emailAddress", "fullName", "shoeSize"]
            .map(|name| (name.to_owned(), "ada@example.com".to_owned()));
        assert_eq!(Person::asked_for(&form, &sent.into()), person());
        assert!(!format!("{:?}", person()).contains("ada"));
    }

    #[tokio::test]
    async fn a_person_opens_for_its_pass_until_the_key_is_destroyed() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::in_file(&folder.path().join("keys.sqlite")).await.unwrap();
        let (service, token) = (over(&vault, Some(keys(1))), Digest::of(b"token"));
        let sealed = service.seal(&pass("1"), &token, &person()).await.unwrap();
        assert!(!sealed.as_str().contains("ada"));
        assert_eq!(service.open(&pass("1"), &token, &sealed).await.unwrap(), Some(person()));
        assert!(service.open(&pass("1"), &Digest::of(b"other"), &sealed).await.is_err(), "another enrolment");
        service.seal(&pass("2"), &token, &person()).await.unwrap();
        assert!(service.open(&pass("2"), &token, &sealed).await.is_err(), "another pass");

        service.destroy(&pass("1")).await.unwrap();
        assert_eq!(service.open(&pass("1"), &token, &sealed).await.unwrap(), None);
        service.seal(&pass("1"), &token, &person()).await.unwrap();
        assert!(service.open(&pass("1"), &token, &sealed).await.is_err(), "the old person stays unreadable");
    }

    #[tokio::test]
    async fn keys_are_sealed_anew_under_the_current_encryption_key() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::in_file(&folder.path().join("keys.sqlite")).await.unwrap();
        let token = Digest::of(b"token");
        let sealed = over(&vault, Some(keys(1))).seal(&pass("1"), &token, &person()).await.unwrap();
        let service = over(&vault, Some(keys(2)));
        let resealed = async |service: &Personalizations| {
            let done = service.reseal_behind(None, 10).await.unwrap().expect("there is a key");
            assert_eq!((done.last, done.looked_at, done.failures.len()), (pass("1"), 1, 0));
            done.resealed
        };
        assert_eq!((resealed(&service).await, resealed(&service).await), (1, 0));
        assert!(service.reseal_behind(Some(&pass("1")), 10).await.unwrap().is_none());
        let first = SealingKeys::new([(1, SealingKey::new([1; 32]))].into(), 1);
        let blind = over(&vault, first).reseal_behind(None, 10).await.unwrap().unwrap();
        assert_eq!((blind.resealed, blind.failures.len()), (0, 1), "key 2 is missing there");
        assert_eq!(vault.key(&pass("1")).await.unwrap().unwrap().key_version(), 2);
        assert_eq!(service.open(&pass("1"), &token, &sealed).await.unwrap(), Some(person()));
        assert!(matches!(
            over(&vault, None).reseal_behind(None, 10).await,
            Err(PersonalizationFailure::NoKeys)
        ));
    }
}
