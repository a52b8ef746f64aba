//! What must hold of a find besides the pattern: entropy, allow lists, and contexts that no
//! automaton holds.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use regex_automata::{
    Anchored, Input, MatchKind,
    hybrid::dfa::{Cache, DFA},
    nfa::thompson::{self, NFA},
};
use regex_syntax::hir::Hir;

use super::{
    anywhere::Anywhere,
    document::{Allow, AllowOn},
    syntax::parse,
};
use crate::masking::detectors::{random::entropy, rule::Found};

/// Bytes before a secret that the checks see.
pub(super) const LOOKBACK: u16 = 512;
/// Memory for one compiled expression of a check.
const MAX_NFA: usize = 1 << 20;
/// Memory for the states of one such expression that were met lately.
const MAX_CACHE: usize = 1 << 16;
/// Most regular expressions, and most stopwords, of one allow list.
const MAX_ENTRIES: usize = 10_000;

/// Fewest bytes of a stopword: of two letters one secret in forty has them by chance.
const MIN_STOPWORD: usize = 3;
/// Most bytes of one: at each byte of a secret, several are compared as far as they agree with it.
#[cfg(feature = "authoring")]
const MAX_STOPWORD: usize = 128;
/// What a byte costs in an automaton that is built while it runs. Text can be made for it that
/// costs more; mostly its states are there.
const LARGE: usize = 16;
/// Random text in the alphabets of secrets, one of them each: what matches in all of these matches
/// everywhere.
const ANY_SECRETS: [&str; 5] = [
    "kqzvbtxwmrplhdgsnfyc",
    "KQZVBTXWMRPLHDGSNFYC",
    "48213907565930172846",
    "c9f7e0b3a86d41f2095e",
    "Zx+q/7Rk-0_Gw~v8.Bt=",
];

/// All that is asked about a find of one rule.
pub(super) struct Judge {
    /// More than so many bits per byte.
    pub(super) entropy: Option<f64>,
    pub(super) allows: Vec<Arc<Allowed>>,
    /// What must stand before the secret.
    pub(super) context: Option<Lazy>,
    /// All of the match, read backwards.
    pub(super) whole: Option<Arc<Lazy>>,
}

impl Judge {
    /// Whether there is nothing to ask.
    pub(super) fn is_idle(&self) -> bool {
        self.entropy.is_none() && self.allows.is_empty() && self.context.is_none()
    }

    /// What it costs for each byte of a find, in steps of an automaton; see
    /// [`Budget`](crate::masking::Budget).
    pub(super) fn cost(&self) -> u32 {
        let entropy = self.entropy.map_or(0, |_| 2);
        let lazy =
            usize::from(self.context.is_some()).saturating_add(usize::from(self.whole.is_some()));
        let lists = self
            .allows
            .iter()
            .map(|allow| allow.cost().saturating_add(1));
        let all = lists.fold(
            lazy.saturating_mul(LARGE).saturating_add(entropy),
            usize::saturating_add,
        );
        u32::try_from(all).unwrap_or(u32::MAX)
    }

    /// Bytes before the secret that it wants to see.
    pub(super) fn lookback(&self) -> u16 {
        let looks = self.context.is_some() || self.allows.iter().any(|a| a.on != AllowOn::Secret);
        if looks { LOOKBACK } else { 0 }
    }

    /// Whether the find is a secret.
    pub(super) fn holds(&self, found: &Found<'_>) -> bool {
        if self
            .entropy
            .is_some_and(|least| entropy(found.secret) <= least)
        {
            return false;
        }
        if let Some(context) = &self.context {
            let text = [found.before, found.secret].concat();
            if context.start(&text, found.before.len()).is_none() {
                return false;
            }
        }
        !self.allows.iter().any(|allow| match allow.on {
            AllowOn::Secret => allow.applies(found.secret, found.secret),
            AllowOn::Match => {
                let text = [found.before, found.secret].concat();
                let start = self
                    .whole
                    .as_ref()
                    .and_then(|whole| whole.start(&text, text.len()))
                    .unwrap_or(found.before.len());
                allow.applies(text.get(start..).unwrap_or(&text), found.secret)
            }
            AllowOn::Line => {
                let start =
                    memchr::memrchr(b'\n', found.before).map_or(0, |at| at.saturating_add(1));
                let before = found.before.get(start..).unwrap_or_default();
                allow.applies(&[before, found.secret].concat(), found.secret)
            }
        })
    }
}

/// Expressions of an allow list.
enum Expressions {
    None,
    Anywhere(Anywhere),
    /// Of a policy that was published before their size was bounded.
    Large(Box<Lazy>),
}

/// A compiled allow list.
pub(super) struct Allowed {
    regexes: Expressions,
    stopwords: Words,
    on: AllowOn,
    all: bool,
}

impl Allowed {
    /// Compiles an allow list.
    ///
    /// # Errors
    /// A sentence for its author.
    pub(super) fn compile(allow: &Allow) -> Result<Self, String> {
        let (regexes, words) = (allow.regexes.len(), allow.stopwords.len());
        if regexes == 0 && words == 0 {
            return Err("an allow list says nothing; give it regexes or stopwords".to_owned());
        }
        if allow.all && (regexes == 0 || words == 0) {
            return Err(
                "an allow list with `all: true` needs both regexes and stopwords".to_owned(),
            );
        }
        if regexes > MAX_ENTRIES || words > MAX_ENTRIES {
            return Err(format!("an allow list has more than {MAX_ENTRIES} entries"));
        }
        let short = |word: &&String| word.trim().len() < MIN_STOPWORD;
        if let Some(short) = allow.stopwords.iter().find(short) {
            return Err(format!(
                "an allow list has the stopword {short:?}, which stands in secrets by chance; a stopword has \
                 {MIN_STOPWORD} characters or more"
            ));
        }
        let mut alternatives = Vec::new();
        for regex in &allow.regexes {
            let hir = parse(regex).map_err(|e| format!("an allow list: {e}: {regex:?}"))?;
            if hir.properties().minimum_len() == Some(0) && hir.properties().look_set().is_empty() {
                return Err(format!(
                    "an allow list has the regex {regex:?}, which matches the empty text and so would allow everything"
                ));
            }
            let hir = super::branch::without_groups(&hir);
            if !allow.all && takes_all(&hir)? {
                return Err(format!(
                    "an allow list has the regex {regex:?}, which matches in any secret and so would allow everything"
                ));
            }
            alternatives.push(hir);
        }
        let regexes = match Anywhere::of(&alternatives) {
            _ if alternatives.is_empty() => Expressions::None,
            Some(all) => Expressions::Anywhere(all),
            None => {
                let all = Lazy::forwards(&Hir::alternation(alternatives));
                Expressions::Large(Box::new(all.map_err(|e| format!("an allow list: {e}"))?))
            }
        };
        Ok(Self {
            regexes,
            stopwords: Words::new(&allow.stopwords),
            on: allow.on,
            all: allow.all,
        })
    }

    /// Why it is not accepted any more, as a sentence for its author: text made for it could take
    /// any time.
    #[cfg(feature = "authoring")]
    pub(super) fn excess(&self) -> Option<String> {
        if let Some(long) = self
            .stopwords
            .longest()
            .filter(|word| word.len() > MAX_STOPWORD)
        {
            return Some(format!(
                "an allow list has a stopword of {} characters, and {MAX_STOPWORD} are allowed; its beginning is enough",
                long.len()
            ));
        }
        matches!(self.regexes, Expressions::Large(_)).then(|| {
            "an allow list's regexes need too large automata; make what they repeat smaller (`[a-z]+` instead of \
             `[a-z]{500}`), and give words as stopwords"
                .to_owned()
        })
    }

    /// What it costs for each byte of a find, in steps.
    fn cost(&self) -> usize {
        let regexes = match &self.regexes {
            Expressions::None => 0,
            Expressions::Anywhere(all) => all.steps(),
            Expressions::Large(_) => LARGE,
        };
        regexes.saturating_add(self.stopwords.cost())
    }

    fn applies(&self, text: &[u8], secret: &[u8]) -> bool {
        let regexes = || match &self.regexes {
            Expressions::None => false,
            Expressions::Anywhere(all) => all.finds(text),
            Expressions::Large(all) => all.finds(text),
        };
        if self.all {
            self.stopwords.stand_in(secret) && regexes()
        } else {
            self.stopwords.stand_in(secret) || regexes()
        }
    }
}

/// Whether an expression matches in every secret.
fn takes_all(hir: &Hir) -> Result<bool, String> {
    if hir
        .properties()
        .minimum_len()
        .is_some_and(|least| least > 16)
    {
        return Ok(false);
    }
    let regex = Lazy::forwards(hir).map_err(|e| format!("an allow list: {e}"))?;
    Ok(ANY_SECRETS.iter().all(|text| regex.finds(text.as_bytes())))
}

/// Allow lists compiled once for all detectors that have the same.
#[derive(Default)]
pub(super) struct Allows(HashMap<Allow, Arc<Allowed>>);

impl Allows {
    /// Whether a list is compiled already.
    pub(super) fn has(&self, allow: &Allow) -> bool {
        self.0.contains_key(allow)
    }

    pub(super) fn get(&mut self, allow: &Allow) -> Result<Arc<Allowed>, String> {
        if let Some(known) = self.0.get(allow) {
            return Ok(Arc::clone(known));
        }
        let compiled = Arc::new(Allowed::compile(allow)?);
        self.0.insert(allow.clone(), Arc::clone(&compiled));
        Ok(compiled)
    }
}

impl std::fmt::Debug for Allowed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Allowed")
    }
}

/// Words that are looked for in secrets; none begins another, so at each place at most one stands,
/// and it is the greatest that is not greater than the text there.
struct Words(Vec<Box<[u8]>>);

impl Words {
    fn new(words: &[String]) -> Self {
        let mut sorted: Vec<Box<[u8]>> = words
            .iter()
            .map(|w| w.to_ascii_lowercase().into_bytes().into())
            .collect();
        sorted.sort_unstable();
        let mut kept: Vec<Box<[u8]>> = Vec::new();
        for word in sorted {
            if !kept.last().is_some_and(|last| word.starts_with(last)) {
                kept.push(word);
            }
        }
        Self(kept)
    }

    #[cfg(feature = "authoring")]
    fn longest(&self) -> Option<&[u8]> {
        self.0
            .iter()
            .map(|word| &**word)
            .max_by_key(|word| word.len())
    }

    /// What it costs for each byte: two steps for each word that it is compared with.
    fn cost(&self) -> usize {
        let compared = self
            .0
            .len()
            .checked_ilog2()
            .map_or(0, |log| log.saturating_add(1));
        usize::try_from(compared)
            .unwrap_or(usize::MAX)
            .saturating_mul(2)
    }

    fn stand_in(&self, secret: &[u8]) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let secret = secret.to_ascii_lowercase();
        (0..secret.len()).any(|at| {
            let rest = secret.get(at..).unwrap_or_default();
            let after = self.0.partition_point(|word| **word <= *rest);
            after
                .checked_sub(1)
                .and_then(|i| self.0.get(i))
                .is_some_and(|word| rest.starts_with(word))
        })
    }
}

/// An expression whose automaton is built while it runs, in bounded memory: for the few bytes of a
/// find, where a full automaton would be too large. It reads each byte once.
pub(super) struct Lazy {
    dfa: DFA,
    cache: Mutex<Cache>,
}

impl Lazy {
    /// To look for `hir` anywhere.
    pub(super) fn forwards(hir: &Hir) -> Result<Self, String> {
        Self::new(hir, false)
    }

    /// To read `hir` backwards from its end.
    pub(super) fn backwards(hir: &Hir) -> Result<Self, String> {
        Self::new(hir, true)
    }

    fn new(hir: &Hir, reverse: bool) -> Result<Self, String> {
        let too_large = |_| "the regex is too large".to_owned();
        let nfa: NFA = thompson::Compiler::new()
            .configure(
                thompson::Config::new()
                    .utf8(false)
                    .reverse(reverse)
                    .which_captures(thompson::WhichCaptures::None)
                    .nfa_size_limit(Some(MAX_NFA)),
            )
            .build_from_hir(hir)
            .map_err(too_large)?;
        let dfa = DFA::builder()
            .configure(
                DFA::config()
                    .match_kind(MatchKind::All)
                    .cache_capacity(MAX_CACHE)
                    .skip_cache_capacity_check(true),
            )
            .build_from_nfa(nfa)
            .map_err(|_| "the regex is too large".to_owned())?;
        let cache = Mutex::new(dfa.create_cache());
        Ok(Self { dfa, cache })
    }

    /// Whether it matches anywhere in `text`.
    pub(super) fn finds(&self, text: &[u8]) -> bool {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let input = Input::new(text).earliest(true);
        // What cannot be searched is no reason to let a secret through.
        matches!(self.dfa.try_search_fwd(&mut cache, &input), Ok(Some(_)))
    }

    /// Where the longest match begins that ends at `end`.
    fn start(&self, text: &[u8], end: usize) -> Option<usize> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let input = Input::new(text).range(..end).anchored(Anchored::Yes);
        let half = self.dfa.try_search_rev(&mut cache, &input).ok()??;
        Some(half.offset())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn allow(allow: Allow) -> Judge {
        Judge {
            entropy: None,
            allows: vec![Arc::new(Allowed::compile(&allow).unwrap())],
            context: None,
            whole: Some(Arc::new(
                Lazy::backwards(&parse(r"[\w.]{0,9}key=\w{4,}").unwrap()).unwrap(),
            )),
        }
    }

    fn holds(judge: &Judge, before: &str, secret: &str) -> bool {
        judge.holds(&Found {
            before: before.as_bytes(),
            secret: secret.as_bytes(),
        })
    }

    fn regexes(on: AllowOn, regexes: &[&str]) -> Allow {
        Allow {
            regexes: regexes.iter().map(|&r| r.to_owned()).collect(),
            on,
            ..Allow::default()
        }
    }

    #[test]
    fn an_allow_list_looks_at_the_secret_the_match_or_the_line() {
        let secret = allow(regexes(AllowOn::Secret, &["^word"]));
        assert!(!holds(&secret, "key=", "wordy"));
        assert!(holds(&secret, "word key=", "a_word"));
        let whole = allow(regexes(AllowOn::Match, &["pub_?key"]));
        assert!(!holds(&whole, "x pubkey=", "abcd"));
        assert!(holds(&whole, "pub_key x_key=", "abcd"));
        let line = allow(regexes(AllowOn::Line, &["^import"]));
        assert!(!holds(&line, "a\nimport b key=", "abcd"));
        assert!(holds(&line, "import a\nb key=", "abcd"));
    }

    #[test]
    fn one_entry_of_a_list_is_enough_unless_all_are_asked_for() {
        let mut list = regexes(AllowOn::Secret, &["^x"]);
        list.stopwords = vec!["Example".to_owned()];
        let either = allow(list.clone());
        assert!(!holds(&either, "", "xabc"));
        assert!(!holds(&either, "", "myEXAMPLE1"));
        list.all = true;
        let both = allow(list);
        assert!(holds(&both, "", "xabc"));
        assert!(holds(&both, "", "myEXAMPLE1"));
        assert!(!holds(&both, "", "xEXAMPLE1"));
    }

    #[test]
    fn every_stopword_is_found_wherever_it_stands() {
        let words: Vec<String> = ["ab", "abc", "b", "bca", "xyz", "xyza", "zz"]
            .map(str::to_owned)
            .into();
        let list = Words::new(&words);
        for text in [
            "", "a", "aab", "aaB", "xxyz", "xz", "azzy", "ccxy", "xyza", "acac",
        ] {
            let expected = words
                .iter()
                .any(|w| text.to_lowercase().contains(w.as_str()));
            assert_eq!(list.stand_in(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn an_allow_list_that_would_allow_everything_is_refused() {
        for bad in [
            regexes(AllowOn::Secret, &[]),
            regexes(AllowOn::Secret, &["a*"]),
            regexes(AllowOn::Secret, &["a("]),
            regexes(AllowOn::Secret, &["^x", r".+"]),
            regexes(AllowOn::Line, &[r"\S{2}"]),
            Allow {
                stopwords: vec!["example".to_owned(), "ab".to_owned()],
                ..Allow::default()
            },
            Allow {
                stopwords: vec!["   ".to_owned()],
                ..Allow::default()
            },
            Allow {
                stopwords: vec![String::new()],
                ..Allow::default()
            },
            Allow {
                all: true,
                ..regexes(AllowOn::Secret, &["a"])
            },
        ] {
            assert!(Allowed::compile(&bad).is_err(), "{bad:?}");
        }
    }
}
