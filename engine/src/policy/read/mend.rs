//! Every fault of an item at once.
//!
//! Reading a type stops at the first fault. Whoever writes a policy would then see one mistake of a
//! rule, mend it, and see the next. So a copy of the item is mended where the fault was, by
//! whatever its type takes, and read again until nothing is left to complain about. What the copy
//! then says is nobody's: its item has faults, and no policy comes of it. It only lets the checks
//! behind the reading find what is wrong with the rest.

use serde::de::DeserializeOwned;

use super::tree::{Key, TreeNode, Value};
use super::typed::{FaultKind, ReadError};
use crate::policy::place::{PathStep, Place};

/// The most faults of one item: as many as are shown of a document. One of another kind has
/// thousands.
const MAX_FAULTS: usize = 50;

/// An item with faults.
pub(super) struct Mended<T> {
    /// All of its faults, in the order in which they were met.
    pub(super) faults: Vec<ReadError>,
    /// The item with something else in the places of its faults, where that could be had.
    pub(super) item: Option<T>,
    /// Those places, below the item.
    pub(super) places: Vec<Place>,
}

/// Reads on behind `first`, the fault that reading `node` as a `T` has met.
pub(super) fn read_on<T: DeserializeOwned>(node: &TreeNode, first: ReadError) -> Mended<T> {
    let mut copy = node.clone();
    let mut mended = Mended {
        faults: Vec::new(),
        item: None,
        places: Vec::new(),
    };
    mended.read_on(&mut copy, first);
    if mended.item.is_none() {
        // Something in its place, so that those behind it keep their numbers.
        copy.value = Value::Map(Vec::new());
        let mut instead = Mended {
            faults: Vec::new(),
            item: None,
            places: vec![Place::default()],
        };
        match T::deserialize(&copy) {
            Ok(item) => instead.item = Some(item),
            Err(fault) => instead.read_on(&mut copy, fault),
        }
        mended.item = instead.item;
        mended.places = instead.places;
    }
    mended
}

impl<T: DeserializeOwned> Mended<T> {
    fn read_on(&mut self, copy: &mut TreeNode, first: ReadError) {
        let mut fault = first;
        for _ in 0..MAX_FAULTS {
            let place = mend::<T>(copy, &fault);
            // What is wrong with a stand-in was not written by anybody.
            if !self.is_below(&fault.steps()) {
                self.faults.push(fault);
            }
            match place {
                Some(Mend::StandIn(place)) => self.places.push(place),
                Some(Mend::Renamed) => {}
                None => break,
            }
            match T::deserialize(&*copy) {
                Ok(item) => {
                    self.item = Some(item);
                    break;
                }
                Err(next) => fault = next,
            }
        }
    }

    fn is_below(&self, steps: &[PathStep]) -> bool {
        self.places.iter().any(|place| steps.starts_with(&place.0))
    }
}

/// How a fault was mended.
enum Mend {
    /// Something that nobody has written stands there.
    StandIn(Place),
    /// A value stands under the name that its key was probably meant to have.
    Renamed,
}

/// Puts something that a `T` takes where a fault is, and says where. `None` when nothing helps.
fn mend<T: DeserializeOwned>(copy: &mut TreeNode, fault: &ReadError) -> Option<Mend> {
    let mut steps = fault.steps();
    match fault.kind() {
        FaultKind::UnknownKey(meant) => {
            let Some(PathStep::Key(name)) = steps.pop() else {
                return None;
            };
            let Value::Map(entries) = &mut at(copy, &steps)?.value else {
                return None;
            };
            let is_there = |wanted: &str| entries.iter().any(|(key, _)| key.name == wanted);
            match meant {
                // Under its right name its value is looked at, too, and the right name is not
                // missing.
                Some(meant) if !is_there(meant) => {
                    let (key, _) = entries.iter_mut().find(|(key, _)| key.name == name)?;
                    key.name = (*meant).to_owned();
                    return Some(Mend::Renamed);
                }
                _ => entries.retain(|(key, _)| key.name != name),
            }
            steps.push(PathStep::Key(name));
        }
        FaultKind::MissingKey(name) => {
            let Value::Map(entries) = &mut at(copy, &steps)?.value else {
                return None;
            };
            let key = Key {
                name: (*name).to_owned(),
                position: None,
            };
            entries.push((key, Value::Null.into()));
            steps.push(PathStep::Key((*name).to_owned()));
            stand_in::<T>(copy, &steps)?;
        }
        FaultKind::Value => stand_in::<T>(copy, &steps)?,
    }
    Some(Mend::StandIn(Place(steps)))
}

/// Puts the first value there that is not what a `T` stumbles over.
fn stand_in<T: DeserializeOwned>(copy: &mut TreeNode, steps: &[PathStep]) -> Option<()> {
    for value in stand_ins() {
        at(copy, steps)?.value = value;
        match T::deserialize(&*copy) {
            Ok(_) => return Some(()),
            Err(fault) if !fault.steps().starts_with(steps) => return Some(()),
            // A map that still lacks keys is the right kind of value, and is mended on.
            Err(fault)
                if fault.steps().len() == steps.len()
                    && matches!(fault.kind(), FaultKind::MissingKey(_)) =>
            {
                return Some(());
            }
            Err(_) => {}
        }
    }
    None
}

/// One value of each kind that a document has somewhere. The first ones are nothing that anybody
/// writes, so that no other part of the document is about them.
fn stand_ins() -> impl Iterator<Item = Value> {
    let texts = [
        "(not read)",
        "not-read.invalid",
        "/x",
        "GET",
        "allow",
        "http",
        "request",
        "mask",
        "1m",
        "required",
        "secret",
        "high",
        "RS256",
        "chaperone/v1",
    ];
    let texts = texts.into_iter().map(|text| Value::Text(text.to_owned()));
    let lists = texts.clone().map(|text| Value::List(vec![text.into()]));
    let others = [
        Value::Map(Vec::new()),
        Value::Unsigned(1),
        Value::Bool(true),
    ];
    others.into_iter().chain(texts).chain(lists)
}

fn at<'a>(node: &'a mut TreeNode, steps: &[PathStep]) -> Option<&'a mut TreeNode> {
    let mut node = node;
    for step in steps {
        node = match (step, &mut node.value) {
            (PathStep::Key(name), Value::Map(entries)) => {
                let (_, value) = entries.iter_mut().find(|(key, _)| key.name == *name)?;
                value
            }
            (PathStep::Index(index), Value::List(items)) => items.get_mut(*index)?,
            _ => return None,
        };
    }
    Some(node)
}
