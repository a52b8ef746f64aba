//! The tables of the documentation, made of the table.

use super::*;

/// A table of documentation, made of those rows for which `said` has words.
fn table(columns: [&str; 2], said: impl Fn(&Rule) -> Option<&'static str>) -> String {
    let mut text = format!(
        "| {} | {} | of | seen at |\n|---|---|---|---|\n",
        columns[0], columns[1]
    );
    for rule in RULES {
        let Some(said) = said(rule) else { continue };
        let name = rule.name.text();
        let name = match (rule.place, rule.name) {
            (Place::Query, Name::Prefix(_)) => format!("`?{name}…=`"),
            (Place::Query, _) => format!("`?{name}=`"),
            (_, Name::Exact(_) | Name::Literal(_)) => format!("`{name}`"),
            (_, Name::Prefix(_)) => format!("`{name}`, `{name}-…`"),
            (_, Name::Word(_)) => format!("any with a part that begins with `{name}`"),
        };
        let source = match rule.source.strip_prefix("https://") {
            Some(rest) => {
                let host = rest.split('/').next().unwrap_or(rest);
                format!("[{host}]({})", rule.source)
            }
            None => "common knowledge".to_owned(),
        };
        text.push_str(&format!("| {name} | {said} | {} | {source} |\n", rule.of));
    }
    text
}

fn refused(rule: &Rule) -> Option<&'static str> {
    match rule.does {
        Does::Refuse(Claim::Identity) => Some("`claimed_identity`"),
        Does::Refuse(Claim::Method) => Some("`method_override`"),
        Does::Refuse(Claim::Path) => Some("`ambiguous_path`"),
        Does::Refuse(Claim::Host) => Some("`invalid_host`"),
        _ => None,
    }
}

fn handled(rule: &Rule) -> Option<&'static str> {
    match rule.does {
        Does::Refuse(_) => None,
        Does::Remove => Some("removed"),
        Does::RemoveSilently => Some("removed; not recorded, since the proxy wrote it"),
        Does::KeepOnly(_) => Some("cut to `upgrade`, `keep-alive`, `close`"),
        Does::Overwritten => Some("overwritten by Envoy"),
        Does::Pass => Some("passes"),
    }
}

const BEGIN: &str = "<!-- made of engine/src/request/headers/table.rs: UPDATE_DOCS=1 cargo test -p chaperone-engine --lib the_tables_of_headers -->\n\n";
const END: &str = "\n<!-- end -->";

#[test]
fn the_tables_of_headers_are_what_the_code_does() {
    for (file, now) in [
        (
            "operations.md",
            table(["header, parameter", "code"], refused),
        ),
        ("filter.md", table(["header", "what happens"], handled)),
    ] {
        let path = format!("{}/../docs/{file}", env!("CARGO_MANIFEST_DIR"));
        let page = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = page.split_once(BEGIN).expect("the page has the mark");
        let (made, after) = rest.split_once(END).expect("the table has an end");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, format!("{before}{BEGIN}{now}{END}{after}")).unwrap();
        } else {
            assert!(
                made == now,
                "docs/{file} is not what the table says; run the tests with UPDATE_DOCS=1"
            );
        }
    }
}
