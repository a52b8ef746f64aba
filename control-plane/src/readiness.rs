//! Whether the control plane is ready: whether a write can be made durable.
//!
//! Asking makes one, on the way that all writes go, so a full disk, a lock that another program
//! keeps and a writer that is stuck are seen as they are. However many ask and however often, at
//! most one such write is made in a second, and all who ask meanwhile share its outcome. A write
//! that does not end keeps nobody waiting for long: that it does not end is the answer.
//!
//! The database is looked through for damage, too, now and then and for a moment. Damage that
//! anybody meets counts until the control plane starts anew.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chaperone_engine::base::time::UnixMillis;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::clock;
use crate::metrics::Metrics;
use crate::store::{Fault, Result, Storage};

/// The time between two probes at least.
const EVERY: Duration = Duration::from_secs(1);

/// How long a probe may take before its not ending is the answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The time between two looks for damage at least, and how long one may take.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(100);

/// The control plane is not ready. Shown, it is a sentence without its full stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotReady {
    /// When it was first seen.
    pub(crate) since: UnixMillis,
    /// Why.
    pub(crate) fault: Fault,
}

impl std::fmt::Display for NotReady {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let since = clock::rfc3339(self.since);
        write!(f, "nothing can be stored since {since}: {}", self.fault)
    }
}

/// Finds out, and remembers.
#[derive(Debug)]
pub(crate) struct Readiness {
    storage: Arc<dyn Storage>,
    metrics: Arc<Metrics>,
    seen: Mutex<Seen>,
    /// The number of the last probe that has ended.
    ended: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The number of the last probe that was begun, and when that was.
    probe: Option<(u64, Instant)>,
    looked: Option<Instant>,
    not_ready: Option<NotReady>,
    /// Not taken back by a write that succeeds.
    damaged: bool,
}

impl Readiness {
    pub(crate) fn new(storage: Arc<dyn Storage>, metrics: Arc<Metrics>) -> Self {
        Self {
            storage,
            metrics,
            seen: Mutex::default(),
            ended: watch::Sender::new(0),
        }
    }

    /// Finds out whether a write can be made durable. Answers in two seconds or so.
    ///
    /// # Errors
    /// When it cannot.
    pub(crate) async fn check(self: &Arc<Self>) -> std::result::Result<(), NotReady> {
        let (number, begun) = self.probe();
        let mut ended = self.ended.subscribe();
        let end = ended.wait_for(|ended| *ended >= number);
        if tokio::time::timeout_at(begun + PATIENCE, end)
            .await
            .is_err()
        {
            self.failed(Fault::Stuck);
        }
        self.seen().not_ready.map_or(Ok(()), Err)
    }

    /// Somebody has met a fault. Damage does not go away by itself.
    pub(crate) fn met(&self, fault: Fault) {
        if fault == Fault::Damaged {
            self.seen().damaged = true;
            self.failed(fault);
        }
    }

    /// The probe whose outcome counts now: one that is under way, or has begun just now, or a new
    /// one.
    fn probe(self: &Arc<Self>) -> (u64, Instant) {
        let now = Instant::now();
        let ended = *self.ended.borrow();
        let mut seen = self.seen();
        if let Some((number, begun)) = seen.probe
            && (number > ended || now.duration_since(begun) < EVERY)
        {
            return (number, begun);
        }
        let probe = (ended + 1, now);
        seen.probe = Some(probe);
        let look = seen
            .looked
            .is_none_or(|looked| now.duration_since(looked) >= LOOK_EVERY);
        if look {
            seen.looked = Some(now);
        }
        // A task of its own: whoever asked may go away.
        tokio::spawn(Arc::clone(self).run(probe.0, look));
        probe
    }

    async fn run(self: Arc<Self>, number: u64, look: bool) {
        match self.attempt(look).await {
            Ok(()) => self.succeeded(),
            Err(error) => {
                tracing::debug!(%error, "a write that was to show whether one can be made durable failed");
                self.met(error.fault());
                self.failed(error.fault());
            }
        }
        self.ended.send_replace(number);
    }

    async fn attempt(&self, look: bool) -> Result<()> {
        self.storage.probe().await?;
        if look {
            self.storage.look_for_damage(LOOK).await?;
        }
        Ok(())
    }

    fn failed(&self, fault: Fault) {
        let mut seen = self.seen();
        // Damage is the graver news.
        let fault = if seen.damaged { Fault::Damaged } else { fault };
        let since = seen
            .not_ready
            .map_or_else(clock::now, |before| before.since);
        let now = NotReady { since, fault };
        let news = seen.not_ready.is_none_or(|before| before.fault != fault);
        seen.not_ready = Some(now);
        drop(seen);
        self.metrics.storage_ready.set(0);
        if news {
            tracing::error!("not ready: {now}");
        }
    }

    fn succeeded(&self) {
        let mut seen = self.seen();
        if seen.damaged {
            return;
        }
        let before = seen.not_ready.take();
        drop(seen);
        self.metrics.storage_ready.set(1);
        if let Some(before) = before {
            let since = clock::rfc3339(before.since);
            tracing::info!(since, "ready again: what is stored is durable");
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::store::StoreError;

    /// A database whose writes end when a test lets them.
    #[derive(Debug)]
    struct Disk {
        probes: AtomicUsize,
        may: Semaphore,
        fault: Mutex<Option<Fault>>,
    }

    impl Disk {
        fn new(may: usize) -> Arc<Self> {
            Arc::new(Self {
                probes: AtomicUsize::new(0),
                may: Semaphore::new(may),
                fault: Mutex::new(None),
            })
        }

        fn readiness(self: &Arc<Self>) -> Arc<Readiness> {
            let storage: Arc<dyn Storage> = Arc::clone(self) as _;
            Arc::new(Readiness::new(storage, Arc::new(Metrics::new())))
        }

        fn fail(&self, fault: Option<Fault>) {
            *self.fault.lock().unwrap() = fault;
        }

        fn probes(&self) -> usize {
            self.probes.load(Ordering::SeqCst)
        }
    }

    #[async_trait]
    impl Storage for Disk {
        async fn probe(&self) -> Result<()> {
            self.probes.fetch_add(1, Ordering::SeqCst);
            self.may.acquire().await.unwrap().forget();
            let fault = *self.fault.lock().unwrap();
            fault.map_or(Ok(()), |fault| {
                Err(StoreError::of(fault, "as a test wants it"))
            })
        }

        async fn look_for_damage(&self, _: Duration) -> Result<()> {
            Ok(())
        }

        async fn close(&self) {}
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_share_one_write_a_second() {
        let disk = Disk::new(1_000);
        let readiness = disk.readiness();
        for second in 1..=3 {
            for _ in 0..100 {
                let asked = (0..10).map(|_| readiness.check());
                let answers = futures_util::future::join_all(asked).await;
                assert!(answers.iter().all(|answer| *answer == Ok(())));
            }
            assert_eq!(disk.probes(), second);
            tokio::time::advance(EVERY).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_does_not_end_is_the_answer_in_time_and_is_made_only_once() {
        let disk = Disk::new(0);
        let readiness = disk.readiness();
        let started = Instant::now();
        let first = readiness.check().await.unwrap_err();
        assert_eq!(first.fault, Fault::Stuck);
        assert!(started.elapsed() <= PATIENCE + Duration::from_millis(10));
        tokio::time::advance(Duration::from_secs(60)).await;
        let started = Instant::now();
        assert_eq!(readiness.check().await, Err(first), "and since when");
        assert_eq!(started.elapsed(), Duration::ZERO, "it is known by now");
        assert_eq!(disk.probes(), 1);
        // It ends, so the next one may.
        disk.may.add_permits(2);
        tokio::task::yield_now().await;
        assert_eq!(readiness.check().await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn why_and_since_when_is_told_until_a_write_succeeds() {
        let disk = Disk::new(1_000);
        let readiness = disk.readiness();
        readiness.check().await.unwrap();
        tokio::time::advance(EVERY).await;
        disk.fail(Some(Fault::Full));
        let full = readiness.check().await.unwrap_err();
        assert!(full.to_string().ends_with(": the disk is full"), "{full}");
        tokio::time::advance(EVERY).await;
        disk.fail(Some(Fault::Locked));
        let locked = readiness.check().await.unwrap_err();
        assert_eq!((locked.since, locked.fault), (full.since, Fault::Locked));
        tokio::time::advance(EVERY).await;
        disk.fail(None);
        readiness.check().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn damage_stays_although_writes_succeed() {
        let disk = Disk::new(1_000);
        let readiness = disk.readiness();
        readiness.met(Fault::Full);
        readiness.check().await.unwrap();
        readiness.met(Fault::Damaged);
        tokio::time::advance(EVERY).await;
        let error = readiness.check().await.unwrap_err();
        assert_eq!(error.fault, Fault::Damaged);
    }
}
