//! Who may call, and what they may do.
//!
//! [`Access`] turns the secret that came with a call into a [`Caller`], and makes and revokes API
//! tokens. What each role may do stands in [`permission`].
//!
//! All live tokens are kept in memory, so that a call is let in without asking the database. Making
//! and revoking a token writes to the database first.

mod caller;
mod identity;
pub(crate) mod permission;
mod role;
pub(crate) mod store;
mod tokens;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use chaperone_engine::base::time::UnixMillis;
use zeroize::Zeroizing;

pub(crate) use self::caller::{Caller, Credential};
pub(crate) use self::identity::Identity;
pub(crate) use self::permission::{Forbidden, ManageTokens, May, Permission};
pub(crate) use self::role::Role;
use self::store::{Revoked, Store};
pub(crate) use self::tokens::{ApiToken, TokenHash};
use crate::administration::store::{Act, Entry};
use crate::store::{PageKey, StoreError};
use crate::{clock, random};

/// Who acts when nobody has called: whoever starts the control plane.
const OPERATOR: &str = "chaperone serve";

/// Who may call.
#[derive(Debug)]
pub(crate) struct Access {
    store: Arc<dyn Store>,
    /// Every token that was not revoked, ended or not.
    callers: RwLock<HashMap<TokenHash, Arc<Caller>>>,
}

/// A token that is to be made.
#[derive(Debug, Clone)]
pub(crate) struct NewToken {
    /// What it is for.
    pub(crate) name: String,
    /// Who acts when it is used; the name when left out.
    pub(crate) subject: Option<String>,
    /// Groups of the subject.
    pub(crate) groups: Vec<String>,
    /// What it may do.
    pub(crate) role: Role,
    /// Seconds until it ends; never when left out.
    pub(crate) ttl_seconds: Option<u64>,
}

/// Why a token was not made.
#[derive(Debug)]
pub(crate) enum CreateError {
    /// A member of [`NewToken`] is not as it must be.
    Invalid {
        /// Its name.
        member: &'static str,
        /// How it must be.
        expected: &'static str,
    },
    /// The operating system gave no randomness.
    Randomness(std::io::Error),
    /// The store failed.
    Store(StoreError),
}

/// Why a token was not revoked.
#[derive(Debug)]
pub(crate) enum RevokeError {
    /// There is none by this id.
    Unknown {
        /// The id.
        id: String,
    },
    /// It is the last administrator's token that does not end by itself.
    LastAdmin,
    /// The store failed.
    Store(StoreError),
}

impl From<std::io::Error> for CreateError {
    fn from(error: std::io::Error) -> Self {
        Self::Randomness(error)
    }
}

impl From<StoreError> for CreateError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<StoreError> for RevokeError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl std::fmt::Display for CreateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Invalid { member, expected } => write!(f, "{member}: {expected}"),
            Self::Randomness(error) => write!(f, "no randomness: {error}"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl Access {
    /// With the tokens that the store has.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn load(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let tokens = store.live_tokens().await?;
        let caller = |token| Arc::new(Caller::by(Credential::Token(token)));
        let callers = tokens
            .into_iter()
            .map(|(hash, token)| (hash, caller(token)))
            .collect();
        Ok(Self {
            store,
            callers: RwLock::new(callers),
        })
    }

    /// Whoever carries the token with this secret, if it is live.
    pub(crate) fn caller(&self, secret: &str, now: UnixMillis) -> Option<Arc<Caller>> {
        let callers = self.callers.read().unwrap_or_else(PoisonError::into_inner);
        let caller = callers.get(&TokenHash::of(secret))?;
        live(caller, now).then(|| Arc::clone(caller))
    }

    /// Whether the caller's credential is still good. A stream asks this again and again, because
    /// its credential was shown only at its beginning.
    pub(crate) fn still_lets_in(&self, caller: &Caller, now: UnixMillis) -> bool {
        let Credential::Token(shown) = caller.credential();
        let callers = self.callers.read().unwrap_or_else(PoisonError::into_inner);
        callers.values().any(|known| {
            let Credential::Token(token) = known.credential();
            token.id == shown.id && live(known, now)
        })
    }

    /// Tokens, revoked or not, newest first, beginning after `after`.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn tokens(
        &self,
        _may: &May<ManageTokens>,
        after: Option<&PageKey>,
        limit: u32,
    ) -> Result<Vec<ApiToken>, StoreError> {
        self.store.tokens(after, limit).await
    }

    /// Makes a token and returns it with its secret, which is kept nowhere.
    ///
    /// # Errors
    /// When the request makes no sense, or storing fails; nothing was made then.
    pub(crate) async fn create(
        &self,
        may: &May<ManageTokens>,
        new: NewToken,
    ) -> Result<(ApiToken, Zeroizing<String>), CreateError> {
        let name = new.name.trim().to_owned();
        let subject = new.subject.as_deref().unwrap_or(&name).trim().to_owned();
        check("name", &name)?;
        check("subject", &subject)?;
        for group in &new.groups {
            check("groups", group)?;
        }
        let now = clock::now();
        let expires_at = match new.ttl_seconds {
            Some(0) => {
                return Err(CreateError::Invalid {
                    member: "ttl_seconds",
                    expected: "at least 1",
                });
            }
            Some(seconds) => Some(now.saturating_add(seconds.saturating_mul(1000))),
            None => None,
        };
        let token = ApiToken {
            id: random::id("tk")?,
            name,
            identity: Identity {
                subject,
                groups: new.groups,
            },
            role: new.role,
            created_at: now,
            expires_at,
            revoked_at: None,
        };
        let secret = random::token()?;
        let entry = may.caller().does(Act::TokenMade, &token.id);
        self.add(token.clone(), &secret, entry).await?;
        let by = &may.caller().identity().subject;
        tracing::info!(token = token.id, role = %token.role, by, "a token was made");
        Ok((token, secret))
    }

    /// Revokes a token, at once and for good.
    ///
    /// # Errors
    /// [`RevokeError`]; the token is as good as before then.
    pub(crate) async fn revoke(
        &self,
        may: &May<ManageTokens>,
        id: &str,
    ) -> Result<(), RevokeError> {
        // What it could do does not change, so it may be read before.
        let Some(token) = self.store.token(id).await? else {
            return Err(RevokeError::Unknown { id: id.to_owned() });
        };
        let entry = token.described(may.caller().does(Act::TokenRevoked, id));
        match self.store.revoke_token(id, clock::now(), &entry).await? {
            Revoked::LastAdmin => return Err(RevokeError::LastAdmin),
            Revoked::Unknown => return Err(RevokeError::Unknown { id: id.to_owned() }),
            Revoked::Done => {}
        }
        self.callers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, caller| {
                let Credential::Token(token) = caller.credential();
                token.id != id
            });
        let by = &may.caller().identity().subject;
        tracing::info!(token = id, by, "a token was revoked");
        Ok(())
    }

    /// Whether a token of this role was ever made, revoked or not.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn had_role(&self, role: Role) -> Result<bool, StoreError> {
        self.store.had_role(role).await
    }

    /// Takes a token whose secret is kept by the operator, unless it was ever known: what was
    /// revoked stays revoked. Answers whether it was new.
    ///
    /// # Errors
    /// When the store or the randomness fails.
    pub(crate) async fn enter(
        &self,
        name: &str,
        identity: Identity,
        role: Role,
        secret: &str,
    ) -> Result<bool, CreateError> {
        if self.store.knows_token(&TokenHash::of(secret)).await? {
            return Ok(false);
        }
        let token = ApiToken {
            id: random::id("tk")?,
            name: name.to_owned(),
            identity,
            role,
            created_at: clock::now(),
            expires_at: None,
            revoked_at: None,
        };
        let entry = Entry {
            at: token.created_at,
            by: OPERATOR.to_owned(),
            token: None,
            act: Act::TokenMade,
            object: token.id.clone(),
            details: BTreeMap::new(),
        };
        self.add(token, secret, entry).await?;
        Ok(true)
    }

    async fn add(&self, token: ApiToken, secret: &str, entry: Entry) -> Result<(), StoreError> {
        let hash = TokenHash::of(secret);
        let entry = token.described(entry);
        self.store.add_token(&token, &hash, &entry).await?;
        self.callers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(hash, Arc::new(Caller::by(Credential::Token(token))));
        Ok(())
    }
}

fn live(caller: &Caller, now: UnixMillis) -> bool {
    let Credential::Token(token) = caller.credential();
    token.is_live(now)
}

/// The most characters of a token's name, its subject and each of its groups.
pub(crate) const MAX_NAME_CHARACTERS: usize = 100;

fn check(member: &'static str, value: &str) -> Result<(), CreateError> {
    let fits = (1..=MAX_NAME_CHARACTERS).contains(&value.chars().count())
        && !value.chars().any(char::is_control);
    if fits {
        Ok(())
    } else {
        Err(CreateError::Invalid {
            member,
            expected: "1 to 100 printable characters",
        })
    }
}
