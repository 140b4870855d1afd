//! Scripts and styles as they are written, without what a browser has no use for: comments, indentation, and spaces,
//! ends of lines, commas and semicolons that separate nothing. No name is changed, no statement is another.
//!
//! Every statement of a script has its semicolon, and none is empty: the linter sees to that. So no end of a line stands for
//! one, and the last of a block needs none.

/// What is not closed at the end of a line, or of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unclosed {
    /// The line that it is in.
    pub(crate) line: usize,
}

/// After these words a slash begins a regular expression.
const BEFORE_EXPRESSIONS: &[&str] = &[
    "return",
    "typeof",
    "case",
    "in",
    "of",
    "delete",
    "void",
    "instanceof",
    "new",
    "do",
    "else",
    "await",
    "yield",
];

/// What is served of a file of that name.
pub(crate) fn file(name: &str, text: &str) -> Result<String, Unclosed> {
    match name.rsplit_once('.') {
        Some((_, "js")) => script(text),
        Some((_, "css")) => style(text),
        _ => Ok(text.to_owned()),
    }
}

/// A script.
fn script(text: &str) -> Result<String, Unclosed> {
    let mut lean = Lean::new(text, separates_in_script, |before| {
        !matches!(before, '\n' | '{' | '}' | '(' | '[' | ',' | ';')
    });
    // The braces that are open in each template that is being left for an expression.
    let mut templates: Vec<usize> = Vec::new();
    while let Some(next) = lean.peek() {
        match next {
            '/' if lean.follows("//") => lean.skip_to_line_end(),
            '/' if lean.follows("/*") => lean.skip_comment()?,
            '/' if lean.expects_value() => lean.expression()?,
            '\'' | '"' => lean.quoted(next)?,
            '`' => {
                lean.take();
                lean.template(&mut templates)?;
            }
            '{' => {
                if let Some(open) = templates.last_mut() {
                    *open += 1;
                }
                lean.take();
            }
            ')' | ']' => {
                lean.drop_comma();
                lean.take();
            }
            '}' => {
                lean.drop_comma();
                lean.drop_semicolon();
                lean.take();
                match templates.last_mut() {
                    Some(0) => {
                        templates.pop();
                        lean.template(&mut templates)?;
                    }
                    Some(open) => *open -= 1,
                    None => {}
                }
            }
            _ => lean.take(),
        }
    }
    if templates.is_empty() { Ok(lean.kept) } else { Err(lean.unclosed()) }
}

/// A style sheet.
fn style(text: &str) -> Result<String, Unclosed> {
    let mut lean = Lean::new(text, separates_in_style, |_| false);
    while let Some(next) = lean.peek() {
        match next {
            '/' if lean.follows("/*") => lean.skip_comment()?,
            '\'' | '"' => lean.quoted(next)?,
            '}' => {
                lean.drop_semicolon();
                lean.take();
            }
            _ => lean.take(),
        }
    }
    Ok(lean.kept)
}

/// Whether a space between the two has to stay.
type Separates = fn(char, char) -> bool;

fn separates_in_script(before: char, after: char) -> bool {
    let is_word =
        |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '$' | '#') || !letter.is_ascii();
    let is_number = before.is_ascii_digit() && after == '.';
    let is_sign = before == after && matches!(before, '+' | '-');
    (is_word(before) && is_word(after)) || is_number || is_sign || before == '/' || after == '/'
}

fn separates_in_style(before: char, after: char) -> bool {
    !matches!(before, '{' | '}' | ';' | ',' | ':' | '>') && !matches!(after, '{' | '}' | ';' | ',' | '>')
}

struct Lean<'a> {
    text: &'a str,
    left: std::str::Chars<'a>,
    kept: String,
    separates: Separates,
    /// Whether a line may end after that; what ends no line is a space.
    ends_line: fn(char) -> bool,
    /// Whether there was space since what was kept last.
    spaced: bool,
}

impl<'a> Lean<'a> {
    fn new(text: &'a str, separates: Separates, ends_line: fn(char) -> bool) -> Self {
        let kept = String::with_capacity(text.len());
        Self { text, left: text.chars(), kept, separates, ends_line, spaced: false }
    }

    fn peek(&self) -> Option<char> {
        self.left.clone().next()
    }

    fn follows(&self, text: &str) -> bool {
        self.left.as_str().starts_with(text)
    }

    fn unclosed(&self) -> Unclosed {
        let read = &self.text[..self.text.len() - self.left.as_str().len()];
        Unclosed { line: 1 + read.matches('\n').count() }
    }

    /// The next character, which is part of no text.
    fn take(&mut self) {
        match self.left.next() {
            Some('\n') => self.end_line(),
            Some(letter) if letter.is_whitespace() => self.spaced = true,
            Some(letter) => self.keep(letter),
            None => {}
        }
    }

    fn before(&self) -> char {
        self.kept.chars().next_back().unwrap_or('\n')
    }

    fn end_line(&mut self) {
        if (self.ends_line)(self.before()) {
            self.kept.push('\n');
        }
        self.spaced = true;
    }

    fn keep(&mut self, letter: char) {
        let before = self.before();
        if std::mem::take(&mut self.spaced) && before != '\n' && (self.separates)(before, letter) {
            self.kept.push(' ');
        }
        self.kept.push(letter);
    }

    /// Leaves out the comma behind the last of a list, which separates nothing; one for what is left out of it stays.
    fn drop_comma(&mut self) {
        let is_after_one = !self.kept.ends_with("[,") && !self.kept.ends_with(",,");
        if is_after_one && self.kept.ends_with(',') {
            self.kept.pop();
        }
    }

    /// Leaves out the semicolon behind the last statement of a block, or the last declaration of a rule.
    fn drop_semicolon(&mut self) {
        if self.kept.ends_with(';') {
            self.kept.pop();
        }
    }

    fn skip_to_line_end(&mut self) {
        while self.peek().is_some_and(|letter| letter != '\n') {
            self.left.next();
        }
    }

    fn skip_comment(&mut self) -> Result<(), Unclosed> {
        let rest = self.left.as_str();
        let (comment, after) = rest.split_once("*/").ok_or_else(|| self.unclosed())?;
        self.left = after.chars();
        self.spaced = true;
        if comment.contains('\n') {
            self.end_line();
        }
        Ok(())
    }

    /// Whether what comes is a value, so that a slash does not divide.
    fn expects_value(&self) -> bool {
        let before = self.kept.trim_end();
        let word =
            before.rsplit(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap_or("");
        match before.chars().next_back() {
            Some(')' | ']' | '}' | '\'' | '"' | '`') => false,
            _ => word.is_empty() || BEFORE_EXPRESSIONS.contains(&word),
        }
    }

    /// A text on one line, as it is.
    fn quoted(&mut self, quote: char) -> Result<(), Unclosed> {
        self.left.next();
        self.keep(quote);
        self.verbatim(|letter, _| letter == quote)
    }

    /// A regular expression, as it is.
    fn expression(&mut self) -> Result<(), Unclosed> {
        self.left.next();
        self.keep('/');
        let mut is_class = false;
        self.verbatim(move |letter, is_escaped| {
            if !is_escaped && matches!(letter, '[' | ']') {
                is_class = letter == '[';
            }
            letter == '/' && !is_class
        })
    }

    /// Keeps what comes up to the first character that is no part of an escape and ends it.
    fn verbatim(&mut self, mut ends: impl FnMut(char, bool) -> bool) -> Result<(), Unclosed> {
        let mut is_escaped = false;
        loop {
            let letter = self.peek().filter(|letter| *letter != '\n').ok_or_else(|| self.unclosed())?;
            self.left.next();
            self.kept.push(letter);
            let is_end = ends(letter, is_escaped) && !is_escaped;
            is_escaped = letter == '\\' && !is_escaped;
            if is_end {
                return Ok(());
            }
        }
    }

    /// A template up to its end, or to the expression in it.
    fn template(&mut self, templates: &mut Vec<usize>) -> Result<(), Unclosed> {
        let mut before = ' ';
        loop {
            let letter = self.left.next().ok_or_else(|| self.unclosed())?;
            self.kept.push(letter);
            match (before, letter) {
                ('\\', _) => before = ' ',
                ('$', '{') => {
                    templates.push(0);
                    return Ok(());
                }
                (_, '`') => return Ok(()),
                _ => before = letter,
            }
        }
    }
}
