//! What a row of the table says.

/// What is known of one header or query parameter, or of several with names alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Where it stands.
    pub place: Place,
    /// Which names it has.
    pub name: Name,
    /// What happens to it.
    pub does: Does,
    /// Whose it is.
    pub of: &'static str,
    /// The page that says so; empty where it is common knowledge that no page was found for.
    pub source: &'static str,
}

/// Where a name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Among the headers.
    Header,
    /// Among the parameters of the query.
    Query,
}

/// Which names a row is about. All but [`Name::Literal`] are compared in normal form, and those of
/// headers are written in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// This one.
    Exact(&'static str),
    /// This one, and all that go on after it with a dash.
    Prefix(&'static str),
    /// All of which a part between dashes begins so.
    Word(&'static str),
    /// This one as it is written, without case: others that are like it mean something else.
    Literal(&'static str),
}

impl Name {
    /// Its text.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Exact(text) | Self::Prefix(text) | Self::Word(text) | Self::Literal(text) => text,
        }
    }
}

/// What a header or parameter asks for that the request line does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// To act as somebody else, or in somebody else's account.
    Identity,
    /// Another method.
    Method,
    /// Another path.
    Path,
    /// Another host.
    Host,
}

/// What happens to a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// The request is refused.
    Refuse(Claim),
    /// It goes.
    Remove,
    /// It goes, and is not worth a word: the proxy itself wrote it into nearly every request.
    RemoveSilently,
    /// Of its list only these elements stay.
    KeepOnly(&'static [&'static str]),
    /// The proxy has overwritten it before the gate sees it, and needs it to find a route.
    Overwritten,
    /// It passes.
    Pass,
}
