//! `vflow login` and `vflow logout`: a session of a collector, instead of a password with each question.

use std::{
    fs,
    io::{self, BufRead, IsTerminal, Write},
    path::Path,
};

use http::StatusCode;
use ratatui::crossterm::{
    event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    terminal::{disable_raw_mode, enable_raw_mode},
};

use crate::{
    args::Connection,
    client::{Posted, Server},
    clock,
    error::{Error, RIGHT},
    escape::visible,
    session::{Session, Sessions},
};

/// What the cookie of a session is called.
const COOKIE: &str = "vanflow_session=";

/// Logs in to a collector, and keeps the session.
pub(crate) async fn login(connection: &Connection, err: &mut dyn Write) -> Result<u8, Error> {
    let server = asked(connection)?;
    if server.is_overheard() {
        let _ =
            writeln!(err, "{} has no TLS: who is on the way can read the password", visible(server.url()));
    }
    let (name, secret) = credentials(connection, err)?;
    let sessions = Sessions::read(connection)?;
    let form = form(&[("user", &name), ("password", &secret)]);
    let Posted { status, cookies, message } = server.post("login", form).await?;
    let session = cookies.iter().find_map(|cookie| session(cookie));
    match session.filter(|_| status.is_success()) {
        Some(session) => {
            let minutes = session.until.saturating_sub(clock::now().as_micros()) / 60_000_000;
            sessions.keep(server.url(), Some(session))?;
            let who = if name.is_empty() { String::new() } else { format!(" as {}", visible(&name)) };
            let _ = writeln!(err, "logged in to {}{who}, for {}", visible(server.url()), in_words(minutes));
            Ok(RIGHT)
        }
        None => Err(Error::NotLoggedIn {
            server: server.url().to_owned(),
            status: status.as_u16(),
            message: match status {
                StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS | StatusCode::FORBIDDEN => message,
                _ => None,
            }
            .unwrap_or_else(|| {
                "there is nothing to log in to: it asks nobody who they are, or not so".to_owned()
            }),
        }),
    }
}

/// Ends the session of a collector, there and here.
pub(crate) async fn logout(connection: &Connection, err: &mut dyn Write) -> Result<u8, Error> {
    let server = asked(connection)?;
    let sessions = Sessions::read(connection)?;
    if sessions.of(server.url()).is_none() {
        let _ = writeln!(err, "there is no session of {}", visible(server.url()));
        return Ok(RIGHT);
    }
    // It is forgotten here whatever becomes of it there.
    let posted = server.post("logout", String::new()).await;
    sessions.keep(server.url(), None)?;
    posted?;
    let _ = writeln!(err, "logged out of {}", visible(server.url()));
    Ok(RIGHT)
}

fn asked(connection: &Connection) -> Result<Server, Error> {
    match connection.input {
        Some(_) => Err(Error::usage("--input asks nobody, so there is nobody to log in to")),
        // What shows who asks is what is posted.
        None => Server::new(&Connection {
            user: None,
            password_file: None,
            token_file: None,
            ..connection.clone()
        }),
    }
}

/// A name and its password, or no name and a token: as options say it, or whoever is at the terminal.
fn credentials(connection: &Connection, err: &mut dyn Write) -> Result<(String, String), Error> {
    if let Some(path) = &connection.token_file {
        return Ok((String::new(), secret_in(path)?));
    }
    let at_terminal = io::stdin().is_terminal();
    let (name, password) = match &connection.user {
        Some(user) => match user.split_once(':') {
            Some((name, password)) => (name.to_owned(), Some(password.to_owned())),
            None => (user.clone(), None),
        },
        None if at_terminal => {
            let _ = write!(err, "Name: ").and_then(|()| err.flush());
            (line()?, None)
        }
        None => return Err(Error::usage("--user NAME says who logs in")),
    };
    let password = match (password, &connection.password_file) {
        (Some(password), _) => password,
        (None, Some(path)) => secret_in(path)?,
        (None, None) if at_terminal => {
            let _ = write!(err, "Password: ").and_then(|()| err.flush());
            let password = unseen();
            let _ = writeln!(err);
            password?
        }
        (None, None) => line()?,
    };
    Ok((name, password))
}

/// The first line of a file, or all of it where it is one.
pub(crate) fn secret_in(path: &Path) -> Result<String, Error> {
    let failed = |reason: String| Error::File { verb: "read", path: path.to_owned(), reason };
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let secret = text.trim_end_matches(['\n', '\r']);
    if secret.is_empty() { Err(failed("it is empty".to_owned())) } else { Ok(secret.to_owned()) }
}

fn line() -> Result<String, Error> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// What is typed up to Enter, and not shown.
fn unseen() -> Result<String, Error> {
    enable_raw_mode()?;
    let typed = typed();
    disable_raw_mode()?;
    typed
}

fn typed() -> Result<String, Error> {
    let mut text = String::new();
    loop {
        let Event::Key(KeyEvent { code, modifiers, kind, .. }) = event::read()? else { continue };
        if kind == KeyEventKind::Release {
            continue;
        }
        match code {
            KeyCode::Enter => return Ok(text),
            KeyCode::Char('c' | 'd') if modifiers.contains(KeyModifiers::CONTROL) => {
                return Err(Error::usage("nobody logged in"));
            }
            KeyCode::Char('u') if modifiers.contains(KeyModifiers::CONTROL) => text.clear(),
            KeyCode::Char(letter) => text.push(letter),
            KeyCode::Backspace => {
                text.pop();
            }
            _ => {}
        }
    }
}

/// The session that a cookie stands for, if it is one.
fn session(cookie: &str) -> Option<Session> {
    let mut parts = cookie.split(';').map(str::trim);
    let cookie = parts.next().filter(|cookie| cookie.len() > COOKIE.len() && cookie.starts_with(COOKIE))?;
    let age = parts.find_map(|part| part.strip_prefix("Max-Age=")?.parse::<u64>().ok())?;
    let until = clock::now().as_micros().saturating_add(age.saturating_mul(1_000_000));
    Some(Session { cookie: cookie.to_owned(), until })
}

fn form(fields: &[(&str, &str)]) -> String {
    let encoded = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&")
}

fn in_words(minutes: u64) -> String {
    // What the way took is no part of it.
    match minutes + 1 {
        minutes if minutes % 60 <= 1 && minutes >= 60 => format!("{} h", minutes / 60),
        minutes => format!("{minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_what_the_cookie_of_one_says() {
        let found = session("vanflow_session=abc; Path=/; Max-Age=60; HttpOnly").expect("it is one");
        assert_eq!(found.cookie, "vanflow_session=abc");
        for other in ["vanflow_session=; Max-Age=0", "other=abc; Max-Age=60", "vanflow_session=abc", ""] {
            assert_eq!(session(other), None, "{other}");
        }
        assert_eq!(form(&[("user", "a b"), ("password", "p&=ö")]), "user=a%20b&password=p%26%3D%C3%B6");
        assert_eq!((in_words(719).as_str(), in_words(29).as_str()), ("12 h", "30 min"));
    }
}
