//! Reads one event, or one record, that is there as a whole: finds its texts, and lets each be read
//! by the tap that knows what came before.
//!
//! Units that are like one of the last are [compared](template) with it, [many at once](alike). Any
//! other is taken to its lines, its JSON to tokens, and the pieces of texts that go on to their
//! channels; what is left is read once more only if an anchor of a detector stands there.

mod alike;
mod run;
mod template;

use super::{
    channels::{Channels, Tie},
    deltas::{Delta, Deltas, known::known},
    sse::lines::{self, Line},
    tape::{Kind, Room, Tape},
};
use crate::masking::{
    bodies::desk::Desk,
    formats::{
        Format as _,
        json::{Json, begins_json},
    },
    text::{
        fold,
        tap::{Escaping, Piece, Tap},
    },
};
use crate::upstreams::{Dialect, LOG_PROBABILITIES, kubernetes};
pub(in crate::masking::streams) use run::Passed;
use run::Run;
use template::known::Templates;

/// What identifies the text of events that hold no JSON begins so; no dialect's does.
const PLAIN: u8 = 0xFE;

/// Longest event or record that is read as a whole.
pub(in crate::masking::streams) const MAX_UNIT: usize = 32 * 1024;

/// A byte order mark.
const MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

/// Reads one event, or one record; its memory is used again for the next one.
#[derive(Clone)]
pub(in crate::masking::streams) struct Reader {
    /// What later events may be like.
    templates: Templates,
    /// Events that are.
    run: Run,
    tape: Tape,
    pub(in crate::masking::streams) deltas: Deltas,
    /// The last dialect that an event has shown.
    pub(in crate::masking::streams) dialect: Option<&'static Dialect>,
    room: Room,
    /// The lines that are no data.
    line: Tap,
    /// All of the event's JSON but the pieces of texts that go on.
    own: Json,
    /// Where anchors of detectors stand in the event.
    places: Vec<usize>,
    /// The values of `data`: raw offsets, and offsets in the event.
    data: Vec<(u64, usize, usize)>,
    /// An event was read whose data is whole the first time.
    had_whole: bool,
    /// It reads records, which have pieces of texts that go on if they have a member of one of
    /// these names, or if there are no names.
    records: Option<&'static [&'static [u8]]>,
}

/// What the lines of an event say that are no data.
struct Lines<'a> {
    name: &'a [u8],
    /// With their offsets in the event.
    others: Vec<(usize, &'a [u8])>,
    /// They hold no secret.
    is_clean: bool,
}

/// What the data of an event is.
#[derive(Debug, PartialEq, Eq)]
enum Data {
    None,
    /// It is on the tape.
    Json,
    /// No JSON, and says that no text goes on.
    Last,
    Plain,
}

/// What can be seen of an event's JSON, but for pieces of texts that go on, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// It holds no secret.
    Clean,
    /// An anchor stands in it.
    Anchored,
    /// A key in it may make its value a secret.
    Special,
}

/// How a replacement is written in a piece. What stands in JSON in a string is escaped twice.
fn escaping(delta: Delta) -> Escaping {
    Escaping::Json {
        nested: u8::from(delta.is_json),
    }
}

impl Reader {
    /// A reader of events.
    pub(in crate::masking::streams) fn events() -> Self {
        Self::new(None, None)
    }

    /// A reader of records, each JSON alone, in the answer to a request with this path. If there
    /// are `names`, a record has pieces of texts that go on only if it has a member of one.
    pub(in crate::masking::streams) fn records(
        path: Option<&[u8]>,
        names: &'static [&'static [u8]],
    ) -> Self {
        Self::new(Some(names), path)
    }

    fn new(records: Option<&'static [&'static [u8]]>, path: Option<&[u8]>) -> Self {
        Self {
            templates: Templates::default(),
            run: Run::default(),
            tape: Tape::default(),
            deltas: Deltas::at_path(path),
            dialect: None,
            room: Room::default(),
            line: Tap::new(Escaping::Plain),
            own: Json::at_path(path),
            places: Vec::new(),
            data: Vec::new(),
            had_whole: false,
            records,
        }
    }

    /// Reads an event that is there as a whole, at the raw offset `base`.
    pub(in crate::masking::streams) fn read(
        &mut self,
        desk: &mut Desk<'_>,
        event: &[u8],
        base: u64,
        channels: &mut Channels,
    ) {
        channels.read_gathered(desk);
        self.look(desk, event);
        let lines = self.lines(event, base);
        let judged = desk.judged;
        // Nothing is restored there: a secret of several lines would become several fields.
        if !lines.is_clean && desk.plan.restores.is_none() {
            self.others(desk, &lines.others, base);
        }
        let others_hold_none = desk.judged == judged;
        match self.data(event, base) {
            Data::None => {}
            Data::Json => {
                let own = self.json(desk, event, channels);
                // What stands before the first line is no part of it, and a line feed may still
                // follow a carriage return.
                let is_whole = base > 0 && event.ends_with(b"\n");
                if let (Some(is_plain), true, true) = (own, others_hold_none, is_whole) {
                    let lines = self.data.iter().map(|&(_, from, to)| (from, to));
                    self.templates
                        .add(event, &self.tape, &self.deltas, lines, is_plain);
                }
            }
            Data::Last => channels.end(desk, &[]),
            Data::Plain => self.plain(desk, event, lines.name, channels),
        }
        self.dialect = self.deltas.dialect.or(self.dialect);
    }

    /// Reads the lines of an event.
    fn lines<'a>(&mut self, event: &'a [u8], base: u64) -> Lines<'a> {
        self.data.clear();
        self.data.shrink_to(64);
        let mut found = Lines {
            name: b"",
            others: Vec::new(),
            is_clean: true,
        };
        for (mut at, mut line) in lines::lines(event) {
            if base == 0
                && at == 0
                && let Some(rest) = line.strip_prefix(MARK)
            {
                (at, line) = (MARK.len(), rest);
            }
            match Line::read(line) {
                Line::Data(skip, value) => {
                    let from = at.saturating_add(skip);
                    let raw = base.saturating_add(from as u64);
                    self.data
                        .push((raw, from, from.saturating_add(value.len())));
                    continue;
                }
                Line::Event(value) => found.name = value,
                Line::Other => {}
            }
            found.is_clean &= self.is_clean(event, at, at.saturating_add(line.len()));
            found.others.push((at, line));
        }
        found
    }

    /// Reads what the lines of data say together. JSON is on the tape then.
    fn data(&mut self, event: &[u8], base: u64) -> Data {
        let Self { data, tape, .. } = self;
        let parts = || {
            data.iter()
                .map(|&(raw, from, to)| (raw, event.get(from..to).unwrap_or_default()))
        };
        let first = parts()
            .flat_map(|(_, part)| part)
            .find(|byte| !byte.is_ascii_whitespace());
        match first {
            None => Data::None,
            Some(b'{' | b'[' | b'"') if tape.read(base, parts()) => Data::Json,
            Some(_) if parts().all(|(_, part)| known().is_last_data(part.trim_ascii())) => {
                Data::Last
            }
            Some(_) => Data::Plain,
        }
    }

    /// The lines that are no data: one text, since what is no event stream at all may say that it
    /// is one.
    fn others(&mut self, desk: &mut Desk<'_>, lines: &[(usize, &[u8])], base: u64) {
        let mut end = None;
        for &(at, line) in lines {
            if let Some(end) = end.replace(at.saturating_add(line.len())) {
                // The line's end stays.
                let piece = Piece::unit(1, base.saturating_add(end as u64), 0);
                self.line.push(desk, b"\n", &[piece]);
            }
            let skip = match line {
                [b':', b' ', ..] => 2,
                [b':', ..] => 1,
                _ => 0,
            };
            let raw = base.saturating_add(at.saturating_add(skip) as u64);
            self.line
                .push_plain(desk, line.get(skip..).unwrap_or_default(), raw);
        }
        self.line.finish(desk);
    }

    /// Reads a record that is there as a whole, at the raw offset `base`. `false` if it is no JSON.
    pub(in crate::masking::streams) fn record(
        &mut self,
        desk: &mut Desk<'_>,
        record: &[u8],
        base: u64,
        channels: &mut Channels,
    ) -> bool {
        self.data.clear();
        self.data.push((base, 0, record.len()));
        match self.data(record, base) {
            Data::None => return true,
            Data::Json => {}
            Data::Last | Data::Plain => return false,
        }
        channels.read_gathered(desk);
        self.look(desk, record);
        if let Some(is_plain) = self.json(desk, record, channels) {
            let data = std::iter::once((0, record.len()));
            self.templates
                .add(record, &self.tape, &self.deltas, data, is_plain);
        }
        true
    }

    /// Reads which pieces of texts that go on the JSON on the tape has.
    fn read_deltas(&mut self, desk: &Desk<'_>, event: &[u8]) {
        match self.records {
            Some(names) if !names.is_empty() && !self.says(event, names) => self.deltas.clear(),
            _ => self.deltas.read(desk.plan, &self.tape, event),
        }
    }

    /// Whether the JSON on the tape has a member of one of these names.
    fn says(&self, record: &[u8], names: &[&[u8]]) -> bool {
        let members = self.tape.roots().flat_map(|root| self.tape.members(root));
        let mut said = members.map(|(key, _)| self.tape.says(record, key));
        said.any(|name| names.contains(&&*name))
    }

    /// Data that is JSON: the tape holds it. If nothing but the pieces of texts that go on had an
    /// effect, gives whether no key in the rest could make its value a secret.
    fn json(&mut self, desk: &mut Desk<'_>, event: &[u8], channels: &mut Channels) -> Option<bool> {
        self.read_deltas(desk, event);
        for &piece in &self.deltas.pieces {
            let (text, places) = self.tape.text(event, piece.at, &mut self.room);
            let key = piece.key(self.deltas.keys());
            channels.push(desk, key, escaping(piece), piece.perhaps, text, places);
        }
        let rest = self.rest(desk, event);
        let judged = desk.judged;
        if rest != Rest::Clean {
            let pieces = self.deltas.pieces.iter();
            let pieces: Vec<_> = pieces.map(|piece| self.tape.offsets(piece.at)).collect();
            self.own(desk, event, &pieces);
        }
        let holds_none = desk.judged == judged;
        let is_tied = self.probabilities(event, channels);
        if self.deltas.end_all {
            channels.end(desk, &[]);
        }
        for key in self.deltas.ends() {
            channels.end(desk, key);
        }
        let is_quiet = !is_tied && !self.deltas.end_some() && self.deltas.answers.is_none();
        (holds_none && is_quiet).then_some(rest != Rest::Special)
    }

    /// Notes where in the event an anchor of a detector stands. Nearly always nowhere, which is
    /// known in one pass; many short texts, each searched on its own, would cost ten times as much.
    fn look(&mut self, desk: &Desk<'_>, event: &[u8]) {
        self.places.clear();
        self.places.shrink_to(64);
        for set in desk.plan.sets() {
            set.candidates(event, &mut self.places);
        }
        self.places.sort_unstable();
    }

    /// Whether the texts of their own that stand in this part of the event as they are hold no
    /// secret.
    fn is_clean(&self, event: &[u8], from: usize, to: usize) -> bool {
        let next = self.places.partition_point(|&place| place < from);
        self.places.get(next).is_none_or(|&place| place >= to)
            && event.get(from..to).is_some_and(|text| !fold::hides(text))
    }

    /// Looks whether what is no piece of a text that goes on need be read.
    fn rest(&mut self, desk: &Desk<'_>, event: &[u8]) -> Rest {
        if self.deltas.has_kept() {
            return Rest::Special;
        }
        let mut is_clean = true;
        let mut pieces = self.deltas.pieces.iter().peekable();
        for &(_, from, to) in &self.data {
            let mut from = from;
            while let Some(piece) = pieces.peek()
                && let (start, end) = self.tape.offsets(piece.at)
                && start < to
            {
                is_clean &= self.is_clean(event, from, start);
                from = end;
                pieces.next();
            }
            is_clean &= self.is_clean(event, from, to);
        }
        let mut pieces = self.deltas.pieces.iter().peekable();
        for (at, token) in (0..).zip(self.tape.tokens()) {
            if pieces.next_if(|piece| piece.at == at).is_some() {
                continue;
            }
            let length = token.end.saturating_sub(token.start);
            // Nearly no key has the length of one that matters.
            let may_be_special = !desk.plan.keys.is_empty()
                || desk.plan.kubernetes && (token.escaped || kubernetes::has_length_of_one(length));
            if token.kind == Kind::Key
                && may_be_special
                && Self::is_special(desk, &self.tape.says(event, at))
            {
                return Rest::Special;
            }
            if token.escaped {
                let (text, _) = self.tape.text(event, at, &mut self.room);
                // Keys stand in quotes, which are escaped in a string.
                if token.kind == Kind::Text
                    && desk.plan.has_keys()
                    && begins_json(text) == Some(true)
                {
                    return Rest::Special;
                }
                let known = self.places.len();
                let any = desk.plan.sets().any(|set| {
                    set.candidates(text, &mut self.places);
                    self.places.len() > known
                });
                self.places.truncate(known);
                is_clean &= !any && !fold::hides(text);
            }
        }
        match is_clean {
            true => Rest::Clean,
            false => Rest::Anchored,
        }
    }

    /// Whether the value of this key may be a secret whatever it looks like.
    fn is_special(desk: &Desk<'_>, key: &[u8]) -> bool {
        let plan = desk.plan;
        plan.keys.get(key).is_some() || plan.kubernetes && kubernetes::may_hold_secrets(key)
    }

    /// Reads what is no piece of a text that goes on. `pieces` says where these are.
    fn own(&mut self, desk: &mut Desk<'_>, event: &[u8], pieces: &[(usize, usize)]) {
        let mut last = None;
        let mut pieces = pieces.iter().copied().peekable();
        for &(raw, from, to) in &self.data {
            if let Some(last) = last {
                self.own.push(desk, b"\n", last);
            }
            let base = raw.saturating_sub(from as u64);
            let mut at = from;
            let mut push = |from: usize, to: usize| {
                let Some(text) = event.get(from..to) else {
                    desk.fault.cannot_be("pieces of an event are not in order");
                    return;
                };
                self.own.push(desk, text, base.saturating_add(from as u64));
            };
            while let Some((start, end)) = pieces.next_if(|&(start, _)| start < to) {
                push(at, start);
                at = end;
            }
            push(at, to);
            last = Some(base.saturating_add(to as u64));
        }
        self.own.finish(desk, last.unwrap_or(0));
    }

    /// Log probabilities repeat a text token by token, as strings and as numbers, with what might
    /// have stood there. Where something is masked in the object that has them, they go. Whether
    /// there are any.
    fn probabilities(&self, event: &[u8], channels: &mut Channels) -> bool {
        let mut any = false;
        for (object, key) in self.tape.named(event, LOG_PROBABILITIES.member) {
            let value = key.saturating_add(1);
            let replacement = match self.tape.kind(value) {
                Some(Kind::Object) => LOG_PROBABILITIES.no_object,
                Some(Kind::Array) if self.tape.elements(value).next().is_some() => {
                    LOG_PROBABILITIES.no_list
                }
                _ => continue,
            };
            any = true;
            channels.tie(Tie {
                of: self.tape.range(object),
                range: self.tape.range(value),
                replacement,
            });
        }
        any
    }

    /// Data that is no JSON.
    fn plain(&mut self, desk: &mut Desk<'_>, event: &[u8], name: &[u8], channels: &mut Channels) {
        let mut text = Vec::new();
        let mut pieces = Vec::new();
        let mut last: Option<usize> = None;
        for &(raw, from, to) in &self.data {
            if let Some(last) = last {
                // The end of a line of data, as readers see it: where the next line is data too, it
                // stands between them.
                let gap = event.get(last..from).unwrap_or_default();
                let is_next = lines::lines(gap).skip(1).count() <= 1;
                text.push(b'\n');
                let raw_len = match is_next {
                    true => u32::try_from(gap.len()).unwrap_or(0),
                    false => 0,
                };
                let at = raw.saturating_sub(gap.len() as u64);
                pieces.push(Piece::unit(1, at, raw_len));
            }
            let value = event.get(from..to).unwrap_or_default();
            text.extend_from_slice(value);
            pieces.push(Piece::plain(raw, value.len()));
            last = Some(to);
        }
        let mut key = vec![PLAIN];
        key.extend_from_slice(name.get(..name.len().min(64)).unwrap_or_default());
        channels.push(desk, &key, Escaping::EventData, true, &text, &pieces);
        // Only the first: what comes again may be a text in pieces.
        if known().is_whole(name) && !std::mem::replace(&mut self.had_whole, true) {
            channels.end(desk, &key);
        }
    }
}
