//! The ringless.toml that goes with the played vendors, and its secrets beside it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::vendors::{ANY_HOUR, drop_cowboy_v1, drop_cowboy_v2, slybroadcast, voicedrop};

/// Where the vendors are, and what they want to be told.
pub struct Config {
    public_url: String,
    carriers: Vec<Carrier>,
}

/// One `[carriers.NAME]`, whose kind is its name.
struct Carrier {
    name: &'static str,
    base_url: String,
    /// Keys whose values stand in the file.
    open: Vec<(&'static str, String)>,
    secrets: Vec<Secret>,
}

/// These open nothing but the played vendors.
struct Secret {
    key: &'static str,
    value: String,
    is_list: bool,
}

/// Where the file says that secrets are.
#[derive(Clone, Copy)]
enum Place<'a> {
    Environment,
    Folder(&'a Path),
}

impl Config {
    pub fn new(public_url: &str) -> Config {
        Config {
            public_url: public_url.to_owned(),
            carriers: Vec::new(),
        }
    }

    pub fn voicedrop(&mut self, base_url: String, settings: &voicedrop::Settings) {
        let secrets = vec![Secret::new("auth_key", &settings.auth_key)];
        self.add("voicedrop", base_url, Vec::new(), secrets);
    }

    pub fn drop_cowboy_v2(&mut self, base_url: String, settings: &drop_cowboy_v2::Settings) {
        let secrets = vec![
            Secret::new("key", &settings.key),
            Secret::new("secret", &settings.secret),
            Secret {
                is_list: true,
                ..Secret::new("signing_secrets", &settings.signing_secret)
            },
        ];
        let open = vec![("phone_line_id", settings.line_id.clone())];
        self.add("drop_cowboy_v2", base_url, open, secrets);
    }

    pub fn drop_cowboy_v1(&mut self, base_url: String, settings: &drop_cowboy_v1::Settings) {
        let open = vec![
            ("team_id", settings.team_id.clone()),
            ("brand_id", settings.brand_id.clone()),
        ];
        let secrets = vec![Secret::new("secret", &settings.secret)];
        self.add("drop_cowboy_v1", base_url, open, secrets);
    }

    pub fn slybroadcast(&mut self, base_url: String, settings: &slybroadcast::Settings) {
        let open = vec![("uid", settings.uid.clone())];
        let secrets = vec![Secret::new("password", &settings.password)];
        self.add("slybroadcast", base_url, open, secrets);
    }

    fn add(
        &mut self,
        name: &'static str,
        base_url: String,
        open: Vec<(&'static str, String)>,
        secrets: Vec<Secret>,
    ) {
        self.carriers.push(Carrier {
            name,
            base_url,
            open,
            secrets,
        });
    }

    /// To be pasted: the file, and the lines for the shell from which `ringless serve` is started.
    pub fn to_paste(&self) -> String {
        let exports: Vec<String> = self
            .secrets()
            .map(|(carrier, secret)| format!("export {}={}\n", secret.env(carrier), secret.value))
            .collect();
        format!(
            "# ringless.toml\n{}\n# in the shell of `ringless serve`\n{}",
            self.text(Place::Environment),
            exports.concat()
        )
    }

    /// Writes ringless.toml and a file for each secret into the folder; gives back the first one's path.
    pub fn write(&self, folder: &Path) -> io::Result<PathBuf> {
        fs::create_dir_all(folder)?;
        let folder = folder.canonicalize()?;
        for (carrier, secret) in self.secrets() {
            write_for_me(&folder.join(secret.file(carrier)), &secret.value)?;
        }
        let data_dir = format!("data_dir = {}\n", quoted(&folder.join("data")));
        let file = folder.join("ringless.toml");
        // As one step, so that whoever waits for the file finds all of it.
        let unfinished = folder.join("ringless.toml.new");
        fs::write(&unfinished, data_dir + &self.text(Place::Folder(&folder)))?;
        fs::rename(&unfinished, &file)?;
        Ok(file)
    }

    fn secrets(&self) -> impl Iterator<Item = (&'static str, &Secret)> {
        self.carriers.iter().flat_map(|carrier| {
            let secrets = carrier.secrets.iter();
            secrets.map(|secret| (carrier.name, secret))
        })
    }

    fn text(&self, place: Place<'_>) -> String {
        let mut text = format!(
            "public_url = \"{}\"\n\n[numbers]\n# Drop Cowboy v2's simulator.\nalso_valid = [\"+1555001*\"]\n",
            self.public_url
        );
        text += "\n# Nobody hears what is played, so it may be sent at any hour. For real vendors, leave out what stands below\n# the names of the purposes: docs/lawful-sending.md.";
        text += ANY_HOUR;
        for carrier in &self.carriers {
            let Carrier { name, base_url, .. } = carrier;
            text += &format!("\n[carriers.{name}]\nkind = \"{name}\"\nbase_url = \"{base_url}\"\n");
            for (key, value) in &carrier.open {
                text += &format!("{key} = \"{value}\"\n");
            }
            for secret in &carrier.secrets {
                let source = match place {
                    Place::Environment => format!("{{ env = \"{}\" }}", secret.env(name)),
                    Place::Folder(folder) => {
                        let file = quoted(&folder.join(secret.file(name)));
                        format!("{{ file = {file} }}")
                    }
                };
                text += &match secret.is_list {
                    true => format!("{} = [{source}]\n", secret.key),
                    false => format!("{} = {source}\n", secret.key),
                };
            }
        }
        text
    }
}

impl Secret {
    fn new(key: &'static str, value: &str) -> Secret {
        Secret {
            key,
            value: value.to_owned(),
            is_list: false,
        }
    }

    /// Of a list there is one here.
    fn name(&self) -> &str {
        match self.is_list {
            true => self.key.trim_end_matches('s'),
            false => self.key,
        }
    }

    fn env(&self, carrier: &str) -> String {
        self.file(carrier).to_uppercase()
    }

    fn file(&self, carrier: &str) -> String {
        format!("{carrier}_{}", self.name())
    }
}

/// A path as a TOML string.
fn quoted(path: &Path) -> String {
    toml::Value::from(path.display().to_string()).to_string()
}

fn write_for_me(path: &Path, secret: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    options.create(true).write(true).truncate(true).mode(0o600);
    writeln!(options.open(path)?, "{secret}")
}
