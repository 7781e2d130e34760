//! The URL of a database: which one, and how it is shown.

use std::path::PathBuf;

use super::pg;

/// Which database: `sqlite://PATH` or `postgres://…`. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    Sqlite(PathBuf),
    Postgres(String),
}

impl DatabaseUrl {
    /// The same database, by a connection that says that it is the one which recovers it.
    pub fn recovering(&self) -> DatabaseUrl {
        match self {
            DatabaseUrl::Sqlite(path) => DatabaseUrl::Sqlite(path.clone()),
            DatabaseUrl::Postgres(url) => {
                let name = pg::RECOVERING.replace(' ', "%20");
                let parameter = format!("application_name={name}");
                DatabaseUrl::Postgres(pg::with_parameter(url, &parameter))
            }
        }
    }

    /// A bare path is refused, so that a typing error does not make an empty database.
    pub fn parse(text: &str) -> std::result::Result<DatabaseUrl, String> {
        if let Some(path) = text.strip_prefix("sqlite://") {
            return match path.is_empty() {
                true => Err("the path behind `sqlite://` is missing".to_owned()),
                false => Ok(DatabaseUrl::Sqlite(PathBuf::from(path))),
            };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            check_encoding(text)?;
            return Ok(DatabaseUrl::Postgres(text.to_owned()));
        }
        // What was given may hold a password, so only its first word is shown.
        let scheme: String = text
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric())
            .take(16)
            .collect();
        Err(format!(
            "it begins with `{scheme}`; allowed are `sqlite://PATH` and `postgres://USER:PASSWORD@HOST/DATABASE`"
        ))
    }
}

/// What libpq says of a URL that it can't read quotes the part that holds the password, so the usual
/// mistakes are told here, in words that quote nothing.
fn check_encoding(url: &str) -> std::result::Result<(), String> {
    let is_hex = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_hexdigit());
    let mut after_percent = url.split('%').skip(1).map(str::bytes);
    if !after_percent.all(|mut bytes| is_hex(bytes.next()) && is_hex(bytes.next())) {
        return Err("a `%` in it is not followed by two hexadecimal digits; write `%25` for a `%` in a password".to_owned());
    }
    let place = url.split('?').next().unwrap_or(url);
    if place.matches('@').count() > 1 {
        return Err("it has more than one `@`; write `%40` for an `@` in a password".to_owned());
    }
    Ok(())
}

impl std::fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DatabaseUrl::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            DatabaseUrl::Postgres(url) => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", ""));
                // Neither the user's part nor the parameters, where a password may stand too.
                let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
                let place = place.split('?').next().unwrap_or("");
                write!(f, "{scheme}://{place}")
            }
        }
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        for url in [
            "postgres://me:secret@db.example:5432/ringless",
            "postgres://db.example:5432/ringless?user=me&password=secret",
        ] {
            let parsed = DatabaseUrl::parse(url).expect("a Postgres URL");
            assert_eq!(parsed.to_string(), "postgres://db.example:5432/ringless");
            assert_eq!(format!("{parsed:?}"), "postgres://db.example:5432/ringless");
        }
    }

    #[test]
    fn a_bare_path_or_another_database_is_refused_without_being_repeated() {
        for url in [
            "ringless.db",
            "./data/x",
            "mysql://me:secret@host/db",
            "",
            "sqlite://",
            "postgres://me:secret%@host/db",
            "postgres://me:50%secret@host/db",
            "postgres://me:secret@home@host/db",
        ] {
            let refused = DatabaseUrl::parse(url).expect_err(url);
            assert!(!refused.contains("secret"));
        }
    }
}
