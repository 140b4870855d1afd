//! Texts that are kept once: names and values of labels.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;

/// Stands for a text.
pub(super) type Symbol = u32;

/// Each text once, for as long as something uses it.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    texts: Vec<Entry>,
    known: HashMap<Arc<str>, Symbol, RandomState>,
    free: Vec<Symbol>,
    octets: usize,
}

#[derive(Debug)]
struct Entry {
    text: Arc<str>,
    uses: u32,
}

/// The two counts in front of a shared text, the entry, and the entry in the table of what is known.
const OVERHEAD: usize = 16 + size_of::<Entry>() + size_of::<(Arc<str>, Symbol)>() + 8;

impl Symbols {
    pub(super) fn find(&self, text: &str) -> Option<Symbol> {
        self.known.get(text).copied()
    }

    pub(super) fn text(&self, symbol: Symbol) -> &str {
        &self.texts[symbol as usize].text
    }

    /// The symbol of a text that has one more use from now on.
    pub(super) fn take(&mut self, text: &str) -> Symbol {
        if let Some(symbol) = self.find(text) {
            self.texts[symbol as usize].uses += 1;
            return symbol;
        }
        let text: Arc<str> = text.into();
        self.octets += OVERHEAD + text.len();
        let entry = Entry { text: Arc::clone(&text), uses: 1 };
        let symbol = match self.free.pop() {
            Some(symbol) => {
                self.texts[symbol as usize] = entry;
                symbol
            }
            None => {
                self.texts.push(entry);
                (self.texts.len() - 1) as Symbol
            }
        };
        self.known.insert(text, symbol);
        symbol
    }

    /// One use less.
    pub(super) fn release(&mut self, symbol: Symbol) {
        let entry = &mut self.texts[symbol as usize];
        entry.uses -= 1;
        if entry.uses == 0 {
            let text = std::mem::replace(&mut entry.text, "".into());
            self.octets -= OVERHEAD + text.len();
            self.known.remove(&text);
            self.free.push(symbol);
        }
    }

    pub(super) fn octets(&self) -> usize {
        self.octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_goes_with_its_last_use_and_its_symbol_is_used_again() {
        let mut symbols = Symbols::default();
        let west = symbols.take("west");
        assert_eq!(symbols.take("west"), west);
        let held = symbols.octets();
        symbols.release(west);
        assert_eq!(symbols.find("west"), Some(west));
        symbols.release(west);
        assert_eq!(symbols.find("west"), None);
        assert_eq!(symbols.octets(), 0);
        assert!(held > 4);
        assert_eq!(symbols.take("east"), west);
        assert_eq!(symbols.text(west), "east");
    }
}
