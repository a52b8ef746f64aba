//! An event that is too long to wait for its end: its data is read as it comes.

use crate::masking::{
    bodies::desk::Desk,
    formats::{Format as _, json::Json},
    offsets::RawAt,
    streams::units::Long,
    text::tap::{Escaping, Piece, Tap},
};

/// Reads one long event.
#[derive(Clone)]
pub(in crate::masking::streams) struct LongEvent {
    place: Place,
    /// What stands in a line before it is known what line it is.
    name: Vec<u8>,
    name_at: u64,
    after_cr: bool,
    data: Option<Data>,
    /// Raw offset after the last byte of data.
    data_end: u64,
    own: Tap,
    /// Raw offset after the last byte of a line that is no data.
    own_end: u64,
}

/// The data of the event, all its lines.
#[derive(Clone)]
enum Data {
    Json(Box<Json>),
    Text(Box<Tap>),
}

/// Where in a line we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Name,
    /// After `data:`, where one space is no data.
    Space,
    Data,
    /// After the colon of a comment.
    Comment,
    Other,
}

const DATA: &[u8] = b"data:";

impl Long for LongEvent {
    fn push(&mut self, desk: &mut Desk<'_>, bytes: &[u8], raw: u64) {
        let mut rest = bytes;
        let mut at = raw;
        while let Some(&first) = rest.first() {
            let end = memchr::memchr2(b'\n', b'\r', rest);
            let is_end = end == Some(0);
            let taken = match self.place {
                _ if is_end => {
                    if !(first == b'\n' && self.after_cr) {
                        self.line_ends(desk);
                    }
                    1
                }
                Place::Name => {
                    if self.name.is_empty() {
                        self.name_at = at;
                    }
                    // A byte order mark before the first line is no part of it.
                    if at >= 3 || !first.is_ascii_control() && first.is_ascii() {
                        self.name.push(first);
                    }
                    if self.name == DATA {
                        self.place = Place::Space;
                    } else if self.name == b":" {
                        self.name.clear();
                        self.place = Place::Comment;
                    } else if !DATA.starts_with(&self.name) {
                        self.place = Place::Other;
                        let name = std::mem::take(&mut self.name);
                        self.other(desk, &name, self.name_at);
                    }
                    1
                }
                Place::Space => {
                    self.data_begins(desk);
                    usize::from(first == b' ')
                }
                Place::Comment => {
                    self.place = Place::Other;
                    usize::from(first == b' ')
                }
                Place::Data | Place::Other => {
                    let end = end.unwrap_or(rest.len());
                    let text = rest.get(..end).unwrap_or_default();
                    match self.place {
                        Place::Data => self.data(desk, text, at),
                        _ => self.other(desk, text, at),
                    }
                    end
                }
            };
            self.after_cr = is_end && first == b'\r';
            rest = rest.get(taken..).unwrap_or_default();
            at = at.saturating_add(taken as u64);
        }
    }

    fn is_over(&self) -> bool {
        true
    }

    /// Its data ended before the blank line with which it ends.
    fn finish(&mut self, desk: &mut Desk<'_>, _: u64) {
        match &mut self.data {
            Some(Data::Json(json)) => json.finish(desk, self.data_end),
            Some(Data::Text(tap)) => tap.finish(desk),
            None => {}
        }
        self.own.finish(desk);
    }

    fn undecided(&self) -> Option<u64> {
        let data = match &self.data {
            Some(Data::Json(json)) => json.undecided(),
            Some(Data::Text(tap)) => tap.undecided().map(RawAt::get),
            None => None,
        };
        let own = self.own.undecided().map(RawAt::get);
        data.into_iter().chain(own).min()
    }
}

impl LongEvent {
    pub(in crate::masking::streams) fn new() -> Self {
        Self {
            place: Place::Name,
            name: Vec::new(),
            name_at: 0,
            after_cr: false,
            data: None,
            data_end: 0,
            own: Tap::new(Escaping::Plain),
            own_end: 0,
        }
    }

    fn line_ends(&mut self, desk: &mut Desk<'_>) {
        match self.place {
            // `data` alone is a line of data that is empty.
            Place::Name if self.name == b"data" => self.data_begins(desk),
            Place::Name if !self.name.is_empty() => {
                let name = std::mem::take(&mut self.name);
                self.other(desk, &name, self.name_at);
            }
            Place::Space => self.data_begins(desk),
            _ => {}
        }
        if matches!(self.place, Place::Other | Place::Comment) && desk.plan.restores.is_none() {
            // The lines that are no data are one text; their ends stay.
            let end = Piece::unit(1, self.own_end, 0);
            self.own.push(desk, b"\n", &[end]);
        }
        self.name.clear();
        self.place = Place::Name;
    }

    /// Another line of data begins.
    fn data_begins(&mut self, desk: &mut Desk<'_>) {
        let at = self.data_end;
        match &mut self.data {
            Some(Data::Json(json)) => {
                json.push(desk, b"\n", at);
            }
            // The line's end stays.
            Some(Data::Text(tap)) => {
                let end = Piece::unit(1, at, 0);
                tap.push(desk, b"\n", &[end]);
            }
            None => {}
        }
        self.place = Place::Data;
    }

    fn data(&mut self, desk: &mut Desk<'_>, text: &[u8], raw: u64) {
        let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
        if self.data.is_none() && first.is_none() {
            // Blanks before the data say nothing yet.
            self.data_end = raw.saturating_add(text.len() as u64);
            return;
        }
        let data = self.data.get_or_insert_with(|| match first {
            Some(b'{' | b'[' | b'"') => Data::Json(Box::new(Json::new())),
            _ => Data::Text(Box::new(Tap::new(Escaping::EventData))),
        });
        match data {
            Data::Json(json) => {
                json.push(desk, text, raw);
            }
            Data::Text(tap) => tap.push_plain(desk, text, raw),
        }
        self.data_end = raw.saturating_add(text.len() as u64);
    }

    fn other(&mut self, desk: &mut Desk<'_>, text: &[u8], raw: u64) {
        if desk.plan.restores.is_none() {
            self.own.push_plain(desk, text, raw);
        }
        self.own_end = raw.saturating_add(text.len() as u64);
    }
}
