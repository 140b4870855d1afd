//! Takes what `/swagger` shows out of the archive that it comes in, compressed as it is sent.

use std::{
    env, error,
    fs::File,
    io::{self, Cursor},
    path::PathBuf,
};

use flate2::{Compression, write::GzEncoder};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

fn main() -> Result<(), Box<dyn error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let directory = PathBuf::from(env::var("OUT_DIR")?);
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    let mut missing = vec!["swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"];
    for position in 0..archive.len() {
        let mut inside = archive.by_index(position)?;
        let path = inside.name()?.into_owned();
        let Some(found) = missing.iter().position(|name| path.ends_with(&format!("/dist/{name}"))) else {
            continue;
        };
        let file = File::create(directory.join(format!("{}.gz", missing.remove(found))))?;
        let mut encoder = GzEncoder::new(file, Compression::best());
        io::copy(&mut inside, &mut encoder)?;
        encoder.finish()?;
    }
    match missing.as_slice() {
        [] => Ok(()),
        missing => Err(format!("the archive of Swagger UI has no {}", missing.join(", ")).into()),
    }
}
