//! Where to look for a branch: the rare bytes in it, or the keywords before it.

use regex_syntax::hir::{Hir, HirKind};

use super::{
    branch::{Branch, repeat},
    expand::{self, MAX_POSITIONS, Opening, all_rare, rarest, trimmed},
    pieces::{
        begins_before, divide, is_boundary, is_look, is_word, is_word_look, lengths,
        without_beginning,
    },
    plan::Settled,
    rules::Draft,
    syntax::print,
};
use crate::masking::{
    detectors::rule::{ContextStart, Lead, Left},
    search::bytes::Anchor,
};

/// Most bytes of a run before an anchor.
const LONGEST_RUN: u8 = 128;

impl Settled {
    /// A context that begins with one of a few words: they are the anchors, the context goes on
    /// after them. Many rules differ in that word only.
    pub(super) fn by_keyword_inside(&self) -> Option<Draft> {
        let looks = self.before.iter().take_while(|hir| is_look(hir)).count();
        let (leading, pieces) = self.before.split_at_checked(looks)?;
        let (mut words, mut taken) = (Vec::new(), 0_usize);
        for count in 1..=pieces.len() {
            let openings = expand::openings(pieces.iter().take(count));
            let narrow = openings
                .iter()
                .all(|o| o.whole && o.sets.iter().all(|set| set.len() <= 4 || set.len() > 250));
            if !narrow || openings.iter().any(|o| o.sets.len() >= MAX_POSITIONS) {
                break;
            }
            words = openings;
            taken = count;
        }
        let rest: Vec<Hir> = pieces.iter().skip(taken).cloned().collect();
        if taken == 0 || lengths(&rest).0 == 0 || !all_rare(&words) {
            return None;
        }
        let left = self.left(leading, words.iter())?;
        Some(self.draft(
            words.into_iter().map(|o| Anchor::from(o.sets)).collect(),
            Lead::Fixed(0),
            left,
            Some((print(&Hir::concat(rest)), ContextStart::AnchorEnd)),
            &self.secret,
        ))
    }

    /// Bytes at a fixed distance from the beginning.
    pub(super) fn by_fixed_place(&self) -> Vec<Draft> {
        let whole: Vec<&Hir> = match self.before.as_slice() {
            [] => self.secret.iter().collect(),
            before => before.iter().collect(),
        };
        let openings = expand::openings(whole.iter().copied());
        let mut by_lead: Vec<(u8, Vec<Anchor>)> = Vec::new();
        for opening in &openings {
            let Some((lead, sets)) = rarest(&opening.sets) else {
                return Vec::new();
            };
            let anchor = Anchor::from(sets.to_vec());
            match by_lead.iter_mut().find(|(l, _)| *l == lead) {
                Some((_, anchors)) if anchors.contains(&anchor) => {}
                Some((_, anchors)) => anchors.push(anchor),
                None => by_lead.push((lead, vec![anchor])),
            }
        }
        let looks = whole.iter().take_while(|hir| is_look(hir)).count();
        let leading: Vec<Hir> = whole.iter().take(looks).map(|&hir| hir.clone()).collect();
        // A boundary is taken out of the pattern where [`Left`] says the same; others stay in it.
        let (left, drop) = match self.left(&leading, openings.iter()) {
            Some(left) => (left, looks),
            None => (Left::Any, 0),
        };
        let (mut before, mut secret) = (self.before.clone(), self.secret.clone());
        let from = if before.is_empty() {
            &mut secret
        } else {
            &mut before
        };
        from.drain(..drop.min(from.len()));
        let context =
            (!before.is_empty()).then(|| (print(&Hir::concat(before)), ContextStart::Match));
        by_lead
            .into_iter()
            .map(|(lead, anchors)| {
                self.draft(anchors, Lead::Fixed(lead), left, context.clone(), &secret)
            })
            .collect()
    }

    /// A secret that begins with a run of bytes before its anchor, as an address before its `@`.
    pub(super) fn by_run(&self) -> Option<Draft> {
        if !self.before.is_empty() {
            return None;
        }
        let looks = self.secret.iter().take_while(|hir| is_look(hir)).count();
        let (leading, pieces) = self.secret.split_at_checked(looks)?;
        let (first, rest) = pieces.split_first()?;
        let HirKind::Repetition(r) = first.kind() else {
            return None;
        };
        let HirKind::Class(class) = r.sub.kind() else {
            return None;
        };
        let class = expand::set(class)?;
        let max = r
            .max
            .and_then(|max| u8::try_from(max).ok())
            .map_or(LONGEST_RUN, |max| max.min(LONGEST_RUN));
        let openings = expand::openings(rest);
        let apart = |o: &Opening| {
            o.sets
                .first()
                .is_some_and(|set| set.common(class).is_empty())
        };
        if r.min > u32::from(max) || !all_rare(&openings) || !openings.iter().all(apart) {
            return None;
        }
        // The match begins where the whole run does. A boundary may hold inside of the run only
        // (`\b[^"]+"acme` in `{x"acme`), so it is not asked for: more is masked. The beginning of a
        // line is asked for if no run goes over it.
        let drop = leading.iter().all(is_word_look);
        let keep = leading.iter().all(|hir| begins_before(hir, class));
        if !drop && !keep {
            return None;
        }
        let mut secret: Vec<Hir> = Vec::new();
        if !drop {
            secret.extend(leading.iter().cloned());
        }
        secret.push(repeat(
            r,
            r.min.max(1),
            Some(u32::from(max)),
            (*r.sub).clone(),
        ));
        secret.extend(rest.iter().cloned());
        let anchors = openings
            .into_iter()
            .map(|o| Anchor::from(trimmed(&o.sets).to_vec()));
        Some(self.draft(
            anchors.collect(),
            Lead::Run { class, max },
            Left::Any,
            None,
            &secret,
        ))
    }

    /// The keywords stand before, with at most [`NEAR`](crate::masking::search::discovery::NEAR)
    /// bytes between.
    pub(super) fn by_keywords_near(&self, keywords: &[String]) -> Draft {
        let anchors = keywords.iter().map(|word| Anchor::ignoring_case(word));
        let context = print(&Hir::concat(self.before.clone()));
        self.draft(
            anchors.collect(),
            Lead::Fixed(0),
            Left::Any,
            Some((context, ContextStart::Near)),
            &self.secret,
        )
    }

    /// The parts of the first piece that has several.
    pub(super) fn divided(&self) -> Option<Vec<Branch>> {
        let as_branch = |before: Vec<Hir>, secret: Vec<Hir>| Branch {
            before,
            secret,
            after: self.after.clone(),
            chosen: self.chosen,
        };
        if let Some(ways) = divide(&self.before) {
            let ways = ways.into_iter();
            return Some(
                ways.map(|before| as_branch(before, self.secret.clone()))
                    .collect(),
            );
        }
        let ways = divide(&self.secret)?.into_iter();
        Some(
            ways.map(|secret| as_branch(self.before.clone(), secret))
                .collect(),
        )
    }

    /// The same with the first pieces of the context left out; they are asked for when a secret was
    /// found.
    pub(super) fn end_of_context(&self, skip: usize) -> Self {
        let mut before: Vec<Hir> = self.before.iter().skip(skip).cloned().collect();
        if skip > 0 {
            before = without_beginning(before);
            if lengths(&before).0 == 0 {
                before.clear();
            }
        }
        Self {
            before,
            secret: self.secret.clone(),
            tail: self.tail.clone(),
            ends: self.ends,
            verify: (skip > 0).then(|| Hir::concat(self.before.clone())),
            all: self.all.clone(),
            after: self.after.clone(),
            chosen: self.chosen,
        }
    }

    /// What [`Left`] can say about the place before a match that begins with these assertions.
    fn left<'o>(
        &self,
        looks: &[Hir],
        mut openings: impl Iterator<Item = &'o Opening>,
    ) -> Option<Left> {
        match looks {
            [] => Some(Left::Any),
            _ if looks.iter().all(is_boundary)
                && openings.all(|o| o.sets.first().is_some_and(|s| s.iter().all(is_word))) =>
            {
                Some(Left::NotWord)
            }
            _ => None,
        }
    }

    fn draft(
        &self,
        anchors: Vec<Anchor>,
        lead: Lead,
        left: Left,
        context: Option<(String, ContextStart)>,
        secret: &[Hir],
    ) -> Draft {
        Draft {
            anchors,
            lead,
            left,
            context,
            secret: print(&Hir::concat(secret.to_vec())),
            tail: self.tail.clone(),
            ends: self.ends,
            verify: self.verify.clone(),
            all: self.all.clone(),
        }
    }
}
