//! `docs/cli.md` is what `--help` says, and a test keeps it so.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Command, CommandFactory as _};

const HEAD: &str = "\
# The command line

What `chaperone --help` and `chaperone COMMAND --help` say, in one page. Made from the program; do not
edit it here, but run

    UPDATE_DOCS=1 cargo test -p chaperone reference

Every command takes `--output json`. The control plane is found by `--server`, then `CHAPERONE_SERVER`,
then the last started `chaperone dev`; the token by `--token-file`, `CHAPERONE_TOKEN_FILE`,
`CHAPERONE_TOKEN`, in this order, and only for the last started `chaperone dev` by itself.
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut root = super::Cli::command().term_width(100);
    root.build();
    describe(&root, &mut page);
    page
}

fn describe(command: &Command, page: &mut String) {
    let name = command
        .get_bin_name()
        .unwrap_or(command.get_name())
        .to_owned();
    let help = command.clone().render_long_help().to_string();
    let help: String = help
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect::<String>();
    write!(page, "\n## {name}\n\n```text\n{}\n```\n", help.trim_end()).unwrap();
    for sub in command.get_subcommands() {
        if !sub.is_hide_set() && sub.get_name() != "help" {
            describe(sub, page);
        }
    }
}

#[test]
fn the_reference_says_what_help_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &page).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == page,
        "docs/cli.md is out of date; run `UPDATE_DOCS=1 cargo test -p chaperone reference`"
    );
}
