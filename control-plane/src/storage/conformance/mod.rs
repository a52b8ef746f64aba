//! The duties of every implementation of the stores, as tests that run on each of them.
//!
//! A test is a function that is generic over the store; [`for_each_store!`] makes a test of SQLite
//! and one of the memory of it. A test of a write goes through [`interrupted_everywhere`], too: it
//! interrupts the transaction at each of its steps in three ways, and wants that nothing of it can
//! be seen, that the store goes on, and that the same call then succeeds as if it were the first.

mod access;
mod administration;
mod approvals;
mod nodes;
mod policies;
mod trail;

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use super::faults::{Faults, Interruption};
use super::memory::Memory;
use super::sqlite::Database;
use crate::store::Result;

/// An implementation of the stores, as the tests need it.
pub(crate) trait Tested: Clone + Sized {
    /// An empty one. Its files, if it has any, lie in `dir`.
    async fn fresh(dir: &Path) -> Self;

    /// Another one that keeps the same data, as a second control plane would have it.
    async fn another(&self, dir: &Path) -> Self;

    /// The answers that records were told: the record, the question, and whether it was let
    /// through. A store tells it again to the same record alone, which may change more.
    async fn told(&self) -> Vec<(String, String, bool)>;

    /// Tests interrupt its transactions with it.
    fn faults(&self) -> &Arc<Faults>;

    /// Returns when no interrupted transaction is under way any more, which proves that the next
    /// one can begin.
    async fn settle(&self);
}

impl Tested for Database {
    async fn fresh(dir: &Path) -> Self {
        let file = dir.join("chaperone.db");
        std::fs::File::create(&file).unwrap();
        Self::open(&file).await.unwrap()
    }

    async fn another(&self, dir: &Path) -> Self {
        Self::open(&dir.join("chaperone.db")).await.unwrap()
    }

    async fn told(&self) -> Vec<(String, String, bool)> {
        let told = sqlx::query_as(
            "SELECT record, approval, granted FROM approval_records ORDER BY record",
        );
        told.fetch_all(self.read()).await.unwrap()
    }

    fn faults(&self) -> &Arc<Faults> {
        self.faults_of_tests()
    }

    async fn settle(&self) {
        self.settled().await.unwrap();
    }
}

impl Tested for Memory {
    async fn fresh(_: &Path) -> Self {
        Self::default()
    }

    async fn another(&self, _: &Path) -> Self {
        self.clone()
    }

    async fn told(&self) -> Vec<(String, String, bool)> {
        self.told_of_tests().await
    }

    fn faults(&self) -> &Arc<Faults> {
        self.faults_of_tests()
    }

    async fn settle(&self) {}
}

/// A store and the folder that it lies in.
pub(crate) struct Bench<S> {
    pub(crate) store: S,
    dir: tempfile::TempDir,
}

impl<S: Tested> Bench<S> {
    /// With an empty store.
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = S::fresh(dir.path()).await;
        Self { store, dir }
    }

    /// Another store with the same data.
    pub(crate) async fn another(&self) -> S {
        self.store.another(self.dir.path()).await
    }
}

/// Makes a test for each store of functions that are generic over it and take a [`Bench`].
macro_rules! for_each_store {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                use crate::storage::{conformance::Bench, sqlite::Database};
                super::$test(Bench::<Database>::new().await).await;
            })+
        }

        mod memory {
            $(#[tokio::test]
            async fn $test() {
                use crate::storage::{conformance::Bench, memory::Memory};
                super::$test(Bench::<Memory>::new().await).await;
            })+
        }
    };
}
pub(crate) use for_each_store;

/// Interrupts a transaction at each of its steps, in each way.
///
/// `prepare` brings an empty store to where the call makes sense, `call` is the transaction, `see`
/// reads all that it may change. All three must do the same each time.
pub(crate) async fn interrupted_everywhere<S, T, V>(
    prepare: impl AsyncFn(&S),
    call: impl AsyncFn(&S) -> Result<T>,
    see: impl AsyncFn(&S) -> V,
) where
    S: Tested,
    T: Debug + PartialEq,
    V: Debug + PartialEq,
{
    let calm = Bench::<S>::new().await;
    prepare(&calm.store).await;
    let before = see(&calm.store).await;
    let answer = call(&calm.store).await.unwrap();
    let after = see(&calm.store).await;
    assert_ne!(before, after, "the call changes nothing that `see` sees");

    for how in [
        Interruption::Fails,
        Interruption::Dropped,
        Interruption::DroppedInFlight,
    ] {
        let mut steps = 0;
        loop {
            let bench = Bench::<S>::new().await;
            let (store, faults) = (&bench.store, bench.store.faults());
            prepare(store).await;
            faults.plan(how, steps);
            let outcome = tokio::select! {
                biased;
                outcome = call(store) => Some(outcome),
                () = faults.reached() => None,
            };
            if faults.withdraw() {
                // There is no such step.
                assert_eq!(outcome.unwrap().unwrap(), answer);
                break;
            }
            let place = format!("{how:?} at step {steps}");
            match how {
                Interruption::Fails => {
                    let outcome = outcome.unwrap_or_else(|| panic!("{place}: still runs"));
                    assert!(outcome.is_err(), "{place}: a failure was not reported");
                }
                Interruption::Dropped => assert!(outcome.is_none(), "{place}"),
                // It may have been quicker than the caller.
                Interruption::DroppedInFlight => {}
            }
            store.settle().await;
            let seen = see(store).await;
            if how == Interruption::DroppedInFlight && seen == after {
                // The commit went through: all of it is there.
                steps += 1;
                continue;
            }
            assert_eq!(seen, before, "{place}: something of it can be seen");
            let again = call(store).await;
            assert_eq!(
                again.unwrap_or_else(|error| panic!("{place}: {error}")),
                answer,
                "{place}"
            );
            assert_eq!(
                see(store).await,
                after,
                "{place}: the second call did something else"
            );
            steps += 1;
        }
        assert!(steps >= 2, "a transaction has a beginning and an end");
    }
}

/// So many cases where proptest makes 256, and in proportion where `PROPTEST_CASES` asks for more
/// or fewer: each case of a store opens a database.
pub(crate) fn cases(n: u32) -> proptest::test_runner::Config {
    use proptest::test_runner::Config;
    let asked = u64::from(Config::default().cases);
    let cases = u32::try_from((asked * u64::from(n)).div_ceil(256)).unwrap_or(u32::MAX);
    Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    }
}
