//! Writes the table of the page's files: what is in `ui/` for browsers is in the binary, without a list to keep.
//!
//! Comments stay in the repository: a third of the octets, and of no use to a browser. Their lines are left empty, so that
//! an error names the line that it is in; all else is as it is written.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let from = variable("CARGO_MANIFEST_DIR").join("ui");
    let into = variable("OUT_DIR");
    let mut names = Vec::new();
    collect(&from, "", &mut names)?;
    names.sort_unstable();
    let mut table = String::from("&[\n");
    for name in names {
        let path = into.join("ui").join(&name);
        fs::create_dir_all(path.parent().expect("it is in a folder"))?;
        fs::write(&path, without_comments(&fs::read_to_string(from.join(&name))?))?;
        table.push_str(&format!("    File {{ name: {name:?}, octets: include_bytes!({path:?}) }},\n"));
    }
    table.push_str("]\n");
    fs::write(into.join("ui.rs"), table)
}

fn variable(name: &str) -> PathBuf {
    PathBuf::from(env::var_os(name).expect("cargo says so"))
}

/// The files that are for browsers: the page, scripts and styles, but not the tools that check them.
fn collect(folder: &Path, above: &str, names: &mut Vec<String>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = format!("{above}{name}");
        if entry.file_type()?.is_dir() {
            if name != "node_modules" && name != "tests" {
                collect(&entry.path(), &format!("{path}/"), names)?;
            }
        } else if [".html", ".css", ".js"].iter().any(|end| name.ends_with(end)) {
            names.push(path);
        }
    }
    Ok(())
}

/// The text with those lines empty that are nothing but comment. What looks like one within a line stays: it may be
/// part of a text.
fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut is_inside = false;
    for line in text.lines() {
        let trimmed = line.trim();
        let opens = trimmed.starts_with("/*");
        let ends = trimmed.find("*/").map(|position| position + 2 == trimmed.len());
        match (is_inside || opens, ends) {
            (true, None) => is_inside = true,
            (true, Some(true)) => is_inside = false,
            // Something follows the comment.
            (true, Some(false)) if is_inside => {
                is_inside = false;
                kept.push_str(line.split_once("*/").map_or("", |(_, after)| after));
            }
            _ if trimmed.starts_with("//") => {}
            _ => kept.push_str(line),
        }
        kept.push('\n');
    }
    kept
}
