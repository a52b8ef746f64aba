//! How many connections there may be.

use super::holder::Kind;

/// Descriptors for everything but connections: the database and its log, key sets that are fetched,
/// the listener, and connections that are being closed.
const RESERVED: u64 = 128;

/// The most connections unless more are asked for. Each takes some tens of kilobytes.
const MOST: u64 = 8192;

/// The fewest, whatever the limit of descriptors.
const FEWEST: u64 = 16;

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    all: usize,
}

impl Limits {
    /// With fewer descriptors a control plane does not start. Its own files take some thirty; the
    /// rest must be enough for nodes, people and strangers at the same time.
    pub(crate) const LEAST_DESCRIPTORS: u64 = 128;

    /// As many as were asked for and `descriptors`, the process's limit, allows; `None` is no
    /// limit.
    pub(crate) fn new(wanted: Option<u32>, descriptors: Option<u64>) -> Self {
        let fits = descriptors.map_or(u64::MAX, |limit| {
            limit.saturating_sub(RESERVED.min(limit / 2)).max(FEWEST)
        });
        let all = wanted.map_or(MOST, u64::from).clamp(FEWEST, fits);
        Self {
            all: usize::try_from(all).unwrap_or(usize::MAX),
        }
    }

    /// All connections together.
    pub(crate) fn all(self) -> usize {
        self.all
    }

    /// How many of them a kind of holders has for itself. It may have more while there is room.
    pub(super) fn share(self, kind: Kind) -> usize {
        match kind {
            // Without nodes no request passes the gate.
            Kind::Node => self.all / 2,
            Kind::Person | Kind::Stranger => self.all / 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_follow_the_limit_of_descriptors() {
        for (wanted, descriptors, all) in [
            (None, Some(1024), 896),
            (None, Some(1_048_576), 8192),
            (None, None, 8192),
            (None, Some(128), 64),
            (Some(100), Some(1024), 100),
            (Some(20_000), Some(1_048_576), 20_000),
            // More than there are descriptors for would end in EMFILE.
            (Some(20_000), Some(1024), 896),
            (Some(0), Some(1024), 16),
        ] {
            assert_eq!(
                Limits::new(wanted, descriptors).all(),
                all,
                "{wanted:?} {descriptors:?}"
            );
        }
    }

    #[test]
    fn shares_do_not_add_up_to_more_than_there_is() {
        for wanted in 16..2000 {
            let limits = Limits::new(Some(wanted), None);
            let shares = Kind::ALL.map(|kind| limits.share(kind));
            assert!(shares.iter().sum::<usize>() <= limits.all());
            assert!(shares.iter().all(|share| *share > 0));
        }
    }
}
