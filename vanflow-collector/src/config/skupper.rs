//! Where Skupper keeps what a client of its router needs, on a machine without Kubernetes.
//!
//! `skupper system start` makes a directory for each namespace; in it are the certificates of clients, and the resources
//! that say at which port of loopback the router is reached (`pkg/nonkube/api/environment.go` and
//! `internal/nonkube/client/runtime` of Skupper).

use std::{
    env, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// What the certificate of clients is called.
const CLIENT: &str = "runtime/certs/skupper-local-client";

/// What says where the router is reached.
const ACCESS: &str = "runtime/resources/RouterAccess-skupper-local.yaml";

/// A namespace of Skupper on this machine whose router cannot be attached to.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SkupperError {
    /// There is no such namespace, or it was never started.
    #[error(
        "there is no running namespace {namespace} of Skupper: cannot read {}: {error}; `skupper system start -n {namespace}` \
         starts it{}",
        file.display(),
        others(there)
    )]
    NotThere {
        /// The namespace.
        namespace: String,
        /// The file that says where its router is.
        file: PathBuf,
        /// Why it cannot be read.
        error: io::Error,
        /// The namespaces that are there.
        there: Vec<String>,
    },
    /// What says where the router is does not say it.
    #[error("{} names no port of the router: expected spec.roles with a port, as Skupper writes it", file.display())]
    NoPort {
        /// The file.
        file: PathBuf,
    },
}

fn others(there: &[String]) -> String {
    match there {
        [] => String::new(),
        there => format!("; there are {}", there.join(", ")),
    }
}

/// How a namespace's router is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) url: String,
    pub(crate) ca: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// How the router of `namespace` is reached on this machine, by this user.
pub(crate) fn reach(namespace: &str) -> Result<Reached, SkupperError> {
    reach_below(&namespaces(), namespace)
}

fn reach_below(namespaces: &Path, namespace: &str) -> Result<Reached, SkupperError> {
    let home = namespaces.join(namespace);
    let file = home.join(ACCESS);
    let text = fs::read_to_string(&file).map_err(|error| SkupperError::NotThere {
        namespace: namespace.to_owned(),
        file: file.clone(),
        error,
        there: names(namespaces),
    })?;
    let port = port(&text).ok_or(SkupperError::NoPort { file })?;
    let certificates = home.join(CLIENT);
    Ok(Reached {
        url: format!("amqps://127.0.0.1:{port}"),
        ca: certificates.join("ca.crt"),
        certificate: certificates.join("tls.crt"),
        key: certificates.join("tls.key"),
    })
}

/// The directory that has one of each namespace: of the machine where root asks, else of the user; what is mounted at
/// /output in a container, as Skupper's own containers have it; and that of SKUPPER_OUTPUT_PATH first, as for those.
fn namespaces() -> PathBuf {
    let in_container = ["/run/.containerenv", "/.dockerenv"].iter().any(|mark| Path::new(mark).exists());
    let named = env::var_os("SKUPPER_OUTPUT_PATH").filter(|path| !path.is_empty());
    let data = if let Some(named) = named {
        PathBuf::from(named)
    } else if in_container && Path::new("/output").is_dir() {
        PathBuf::from("/output")
    } else if fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
        PathBuf::from("/var/lib/skupper")
    } else {
        let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".local/share");
        env::var_os("XDG_DATA_HOME").map_or_else(home, PathBuf::from).join("skupper")
    };
    data.join("namespaces")
}

/// The port of the first role, as Skupper writes its resources: the port of the router for its clients.
fn port(resource: &str) -> Option<u16> {
    let mut lines = resource.lines();
    lines.find(|line| line.trim_end() == "  roles:")?;
    lines
        // The list may stand as deep as its name.
        .take_while(|line| line.starts_with("  - ") || line.starts_with("   "))
        .find_map(|line| line.trim_start_matches([' ', '-']).strip_prefix("port:")?.trim().parse().ok())
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .filter(|entry| entry.path().join(ACCESS).exists())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESOURCE: &str = "apiVersion: skupper.io/v2alpha1\nkind: RouterAccess\nmetadata:\n  name: skupper-local\n  \
        namespace: west\nspec:\n  bindHost: 127.0.0.1\n  issuer: skupper-local-ca\n  roles:\n  - name: normal\n    port: 5672\n  \
        tlsCredentials: skupper-local-server\nstatus: {}\n";

    fn namespaces(resource: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("west").join(ACCESS);
        fs::create_dir_all(file.parent().expect("it has one")).expect("it can be made");
        fs::write(file, resource).expect("it can be written");
        directory
    }

    #[test]
    fn a_router_is_reached_at_the_port_that_skupper_gave_it_with_the_certificate_beside() {
        let directory = namespaces(RESOURCE);
        let certificates = directory.path().join("west/runtime/certs/skupper-local-client");
        assert_eq!(
            reach_below(directory.path(), "west").expect("it is there"),
            Reached {
                url: "amqps://127.0.0.1:5672".to_owned(),
                ca: certificates.join("ca.crt"),
                certificate: certificates.join("tls.crt"),
                key: certificates.join("tls.key"),
            }
        );
        assert_eq!(port("spec:\n  roles:\n    - port: 5671\n      name: normal\n"), Some(5671));
    }

    #[test]
    fn what_is_not_there_is_said_with_what_is() {
        let directory = namespaces(RESOURCE);
        let error = reach_below(directory.path(), "east").expect_err("it is not there").to_string();
        let path = directory.path().display();
        assert_eq!(
            error,
            format!(
                "there is no running namespace east of Skupper: cannot read \
                 {path}/east/runtime/resources/RouterAccess-skupper-local.yaml: No such file or directory (os error 2); \
                 `skupper system start -n east` starts it; there are west"
            )
        );
        let directory = namespaces("spec:\n  roles: []\n  port: 1\n");
        let error = reach_below(directory.path(), "west").expect_err("it has no port").to_string();
        assert!(
            error.ends_with(
                "RouterAccess-skupper-local.yaml names no port of the router: expected spec.roles with a port, as Skupper \
                 writes it"
            ),
            "{error}"
        );
    }
}
