//! The gate that is being made of a newer bundle, while the older one decides.
//!
//! Compiling a few hundred detectors takes a second or two, and all streams of a worker wait for
//! whatever it does. So it is done a piece at a time, and after a millisecond of it the streams
//! have their turn. Ticks come quickly meanwhile; see
//! [`NodeOf::on_tick`](crate::node::NodeOf::on_tick).
//!
//! Weighed: shipping what the control plane has compiled. Its form would have to be versioned,
//! verified at load and kept apart from the signed document; pieces need none of it, and what is
//! compiled already is taken over, so that most policies are in force after one go.
//!
//! The longest piece is one automaton, which cannot be divided: up to some tens of milliseconds for
//! the largest that a policy may have.

use std::rc::Rc;

use chaperone_engine::bundle::{Bundle, Serial};
use chaperone_engine::gate::{Gate, GateMaking};

use crate::host::Host;

/// Microseconds of making in one go. With the shortest pause between two ticks it is about half of
/// the worker's time.
const GO_US: u64 = 1_000;

/// Begins to make a gate of a bundle; the gate that decides now is there to take over from.
/// Injected so that this module knows nothing of deciding.
pub(in crate::node) type Build<G> = fn(Bundle, Option<&G>) -> Box<dyn Making<G>>;

/// A gate while it is made.
pub(in crate::node) trait Making<G> {
    /// Does one piece; gives the gate once all is done. Not called again after that.
    ///
    /// # Errors
    /// Why no gate can be made of the bundle. Depends on nothing but the bundle.
    fn step(&mut self) -> Result<Option<G>, String>;
}

impl Making<Gate> for GateMaking {
    fn step(&mut self) -> Result<Option<Gate>, String> {
        Self::step(self).map_err(|error| error.to_string())
    }
}

/// A genuine bundle of which a gate is being made.
pub(super) struct Coming<G> {
    pub(super) serial: Serial,
    pub(super) envelope: Rc<[u8]>,
    pub(super) making: Box<dyn Making<G>>,
}

impl<G> Coming<G> {
    /// Makes on, for one go; gives the gate once all is done.
    ///
    /// # Errors
    /// As [`Making::step`].
    pub(super) fn go(&mut self, host: &dyn Host) -> Result<Option<G>, String> {
        let from = host.micros();
        loop {
            if let Some(gate) = self.making.step()? {
                return Ok(Some(gate));
            }
            if host.micros().saturating_sub(from) >= GO_US {
                return Ok(None);
            }
        }
    }

    /// Does all that is left.
    ///
    /// # Errors
    /// As [`Making::step`].
    pub(super) fn finish(&mut self) -> Result<G, String> {
        loop {
            if let Some(gate) = self.making.step()? {
                return Ok(gate);
            }
        }
    }
}
