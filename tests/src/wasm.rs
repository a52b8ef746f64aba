//! What a wasm module imports and exports, read from its binary (WebAssembly core specification
//! 2.0, section 5.5).

use std::path::Path;

/// Names of functions.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// What the host has to give, without the names of the modules that it comes from.
    pub imports: Vec<String>,
    /// What the host can call.
    pub exports: Vec<String>,
}

const IMPORTS: u8 = 2;
const EXPORTS: u8 = 7;
const FUNCTION: u8 = 0;

impl Interface {
    /// Of the module in this file.
    ///
    /// # Panics
    /// When it is no module, or imports anything but functions.
    #[must_use]
    pub fn of(file: &Path) -> Self {
        let bytes = std::fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let mut rest = Reader(
            bytes
                .strip_prefix(b"\0asm\x01\0\0\0")
                .expect("a wasm module"),
        );
        let mut interface = Self::default();
        while !rest.0.is_empty() {
            let section = rest.byte();
            let size = rest.number();
            let mut content = Reader(rest.take(size));
            match section {
                IMPORTS => {
                    for _ in 0..content.number() {
                        content.name();
                        interface.imports.push(content.name());
                        assert_eq!(content.byte(), FUNCTION, "an import that is no function");
                        content.number();
                    }
                }
                EXPORTS => {
                    for _ in 0..content.number() {
                        let name = content.name();
                        let kind = content.byte();
                        content.number();
                        if kind == FUNCTION {
                            interface.exports.push(name);
                        }
                    }
                }
                _ => {}
            }
        }
        interface
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, size: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(size);
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    /// An unsigned LEB128.
    fn number(&mut self) -> usize {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return number;
            }
            shift += 7;
        }
    }

    fn name(&mut self) -> String {
        let size = self.number();
        String::from_utf8(self.take(size).to_vec()).expect("names are UTF-8")
    }
}
