//! What all texts of one body share while it is masked: the plan, what was found, and what is to be
//! changed.

use super::{
    edit::Edits,
    fault::Fault,
    findings::{Findings, Fingerprint, FingerprintKey},
    mark::{Mark, What},
    placeholder,
    plan::{Action, Plan},
    restore::Secrets,
};
use crate::masking::{detectors::detector::Detector, offsets::RawAt};

/// Lent to a format for each chunk.
pub(in crate::masking) struct Desk<'a> {
    pub(in crate::masking) plan: &'a Plan,
    pub(in crate::masking) key: &'a FingerprintKey,
    pub(in crate::masking) findings: &'a mut Findings,
    pub(in crate::masking) edits: &'a mut Edits,
    pub(in crate::masking) secrets: &'a mut Secrets,
    pub(in crate::masking) blocked: &'a mut Option<Block>,
    /// Whether something came about that cannot be.
    pub(in crate::masking) fault: &'a mut Fault,
    /// What is found is counted and passes.
    pub(in crate::masking) only_reports: bool,
    /// Possible secrets so far of which was asked what becomes of them.
    pub(in crate::masking) judged: u64,
    /// What was done so far; see [`Budget`](super::Budget).
    pub(in crate::masking) work: u64,
    /// Room for marks, kept to save allocations.
    pub(in crate::masking) marks: Vec<Mark>,
}

/// A secret at which the body has to end.
#[derive(Debug, Clone)]
pub(in crate::masking) struct Block {
    pub(in crate::masking) detector: String,
    pub(in crate::masking) fingerprint: Fingerprint,
    /// Raw offset of the secret's first byte; set by the tap that knows it.
    pub(in crate::masking) at: Option<RawAt>,
}

impl Block {
    /// Whether its first byte stands between these raw offsets.
    pub(in crate::masking) fn is_in(&self, from: u64, to: u64) -> bool {
        self.at.is_some_and(|at| (from..to).contains(&at.get()))
    }

    /// It stands here, or some of it does.
    pub(in crate::masking) fn stands(&mut self, at: RawAt) {
        self.at = Some(self.at.map_or(at, |first| first.min(at)));
    }
}

/// What a finding costs, and each byte of its secret: the fingerprint's two blocks, and what hashes
/// them; see [`Budget`](super::Budget).
const FOUND: u64 = 800;
pub(in crate::masking) const HASHED: u64 = 6;

impl Desk<'_> {
    /// Counts work.
    pub(in crate::masking) fn worked(&mut self, work: u64) {
        self.work = self.work.saturating_add(work);
    }

    /// What becomes of a secret; `None` if it passes.
    pub(in crate::masking) fn judge(
        &mut self,
        detector: &Detector,
        secret: &[u8],
        confirmed: bool,
    ) -> Option<What> {
        self.judged = self.judged.saturating_add(1);
        if let Some(secrets) = &self.plan.restores {
            return secrets
                .get(secret)
                .map(|secret| What::Replaced(secret.to_vec()));
        }
        self.judge_named(detector.name(), detector.short_name(), secret, confirmed)
    }

    /// The same for a secret that no detector found, such as the value of a key that names a
    /// secret. `name` is the full name that it is counted under.
    pub(in crate::masking) fn judge_named(
        &mut self,
        name: &str,
        short_name: &str,
        secret: &[u8],
        confirmed: bool,
    ) -> Option<What> {
        let hashed = (secret.len() as u64).saturating_mul(HASHED);
        self.worked(hashed.saturating_add(FOUND));
        let fingerprint = self.key.fingerprint(secret);
        let what = self.count(name, fingerprint, confirmed)?;
        let placeholder = match what {
            What::Replaced(_) => self.placeholder(name, short_name, fingerprint, secret),
            other => return Some(other),
        };
        if self.plan.remembers_of(name) {
            self.secrets.remember(&placeholder, secret);
        }
        Some(What::Replaced(placeholder))
    }

    /// The same for a secret too long to be held, of which only the fingerprint and the end are
    /// known. It is not remembered: what is not whole cannot be given back.
    pub(in crate::masking) fn judge_long(
        &mut self,
        (name, short_name): (&str, &str),
        fingerprint: Fingerprint,
        end: &[u8],
    ) -> Option<What> {
        self.worked(FOUND);
        if self.plan.done.contains(name) {
            return None;
        }
        Some(match self.count(name, fingerprint, false)? {
            What::Replaced(_) => {
                What::Replaced(self.placeholder(name, short_name, fingerprint, end))
            }
            other => other,
        })
    }

    /// Counts a secret, and says what becomes of it; the replacement is still to be written.
    fn count(&mut self, name: &str, fingerprint: Fingerprint, confirmed: bool) -> Option<What> {
        self.judged = self.judged.saturating_add(1);
        if self.only_reports {
            self.findings.report(name, fingerprint, confirmed);
            return None;
        }
        self.findings.add(name, fingerprint, confirmed);
        if self.plan.treatment(name).action == Action::Block {
            if self.blocked.is_none() {
                *self.blocked = Some(Block {
                    detector: name.to_owned(),
                    fingerprint,
                    at: None,
                });
            }
            return Some(What::Blocked);
        }
        Some(What::Replaced(Vec::new()))
    }

    fn placeholder(
        &self,
        name: &str,
        short_name: &str,
        fingerprint: Fingerprint,
        secret: &[u8],
    ) -> Vec<u8> {
        let kept = kept(secret, self.plan.treatment(name).keep);
        placeholder::write(short_name, &fingerprint, kept)
    }
}

/// The last characters of a secret that may be shown. Never more than a quarter of it, since what
/// is shown of a short secret gives it away; and only characters that mean nothing to any format.
fn kept(secret: &[u8], keep: u8) -> Option<&str> {
    let keep = usize::from(keep).min(secret.len() / 4);
    let text = std::str::from_utf8(secret.get(secret.len().saturating_sub(keep)..)?).ok()?;
    (!text.is_empty() && text.bytes().all(placeholder::is_shown)).then_some(text)
}
