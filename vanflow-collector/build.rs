//! Writes the table of the page's files: what is in `ui/` for browsers is in the binary, without a list to keep.
//!
//! Comments, indentation, and spaces, ends of lines and semicolons that separate nothing stay in the repository: half of the
//! octets, and of no use to a browser. All else is as it is written. What is served is compressed here, once.

use std::{
    env,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

#[path = "build/lean.rs"]
mod lean;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    let from = variable("CARGO_MANIFEST_DIR").join("ui");
    let into = variable("OUT_DIR");
    let mut names = Vec::new();
    collect(&from, "", &mut names)?;
    names.sort_unstable();
    // All modules that the page begins with are asked for at once, not each once somebody has read which one needs it.
    let mut modules = Vec::new();
    with_imports(&from, "main.js".to_owned(), &mut modules)?;
    let preloads: String =
        modules.iter().map(|name| format!("<link rel=\"modulepreload\" href=\"{name}\">\n")).collect();
    let mut table = String::from("&[\n");
    for name in names {
        let path = into.join("ui").join(&name);
        fs::create_dir_all(path.parent().expect("it is in a folder"))?;
        let written = fs::read_to_string(from.join(&name))?;
        let served = lean::file(&name, &written.replace("</head>", &format!("{preloads}</head>")))
            .unwrap_or_else(|lean::Unclosed { line }| panic!("ui/{name}:{line}: a text is not closed"));
        fs::write(&path, &served)?;
        let packed = into.join("ui").join(format!("{name}.gz"));
        zopfli::compress(
            zopfli::Options::default(),
            zopfli::Format::Gzip,
            served.as_bytes(),
            File::create(&packed)?,
        )?;
        table.push_str(&format!(
            "    File {{ name: {name:?}, text: Text {{ octets: include_bytes!({path:?}), packed: include_bytes!({packed:?}) }} }},\n"
        ));
    }
    table.push_str("]\n");
    fs::write(into.join("ui.rs"), table)
}

fn variable(name: &str) -> PathBuf {
    PathBuf::from(env::var_os(name).expect("cargo says so"))
}

/// A module, and all that it begins with importing, each once.
fn with_imports(folder: &Path, name: String, found: &mut Vec<String>) -> io::Result<()> {
    if found.contains(&name) {
        return Ok(());
    }
    let text = fs::read_to_string(folder.join(&name))?;
    found.push(name.clone());
    let imports = text.lines().filter(|line| line.starts_with("import "));
    for path in imports.filter_map(|line| line.split('\'').nth(1)) {
        let mut parts: Vec<_> = name.split('/').collect();
        parts.pop();
        for part in path.split('/') {
            match part {
                "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        with_imports(folder, parts.join("/"), found)?;
    }
    Ok(())
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
