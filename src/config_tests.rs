use super::*;

const EXAMPLE: &str = include_str!("../ringless.example.toml");

fn refused(text: &str) -> String {
    let refusal = || {
        let config = Config::build(Overrides::default(), FileConfig::parse(text)?)?;
        config.registry().map(|_| ())
    };
    refusal().expect_err(text).to_string()
}

/// Every key of a table with its path.
fn keys(table: &toml::Table, prefix: &str, into: &mut Vec<String>) {
    for (key, value) in table {
        let path = format!("{prefix}{key}");
        match value {
            toml::Value::Table(inner) => keys(inner, &format!("{path}."), into),
            _ => into.push(path),
        }
    }
    into.sort();
}

#[test]
fn the_example_file_has_every_key_at_its_default() {
    let example = FileConfig::parse(EXAMPLE).expect("the example is right");
    let spelled_out = FileConfig {
        grpc_addr: Some(GRPC_ADDR.to_owned()),
        http_addr: Some(HTTP_ADDR.to_owned()),
        admin_addr: Some(ADMIN_ADDR.to_owned()),
        database_url: Some("sqlite://./data/ringless.db".to_owned()),
        data_dir: Some(DATA_DIR.into()),
        public_url: Some(String::new()),
        roles: Some(vec!["api".to_owned(), "worker".to_owned()]),
        drain_delay_seconds: Some(DRAIN_DELAY_SECONDS),
        carriers: BTreeMap::from([("sandbox".to_owned(), CarrierConfig::sandbox())]),
        ..FileConfig::default()
    };
    assert_eq!(example, spelled_out);

    let (mut in_file, mut in_code) = (Vec::new(), Vec::new());
    keys(&EXAMPLE.parse().expect("it is TOML"), "", &mut in_file);
    keys(
        &toml::Table::try_from(&spelled_out).expect("a table"),
        "",
        &mut in_code,
    );
    in_file.retain(|key| !key.starts_with("carriers."));
    assert_eq!(in_file, in_code);
    assert!(Config::build(Overrides::default(), example).is_ok());
}

#[test]
fn every_key_of_the_example_is_commented() {
    let mut commented = false;
    for line in EXAMPLE.lines() {
        let is_key = line.contains(" = ") && !line.starts_with('#');
        assert!(!is_key || commented, "no comment above `{line}`");
        commented = line.starts_with('#');
    }
}

#[test]
fn nothing_at_all_is_a_configuration() {
    let config = Config::build(Overrides::default(), FileConfig::default()).expect("defaults");
    assert_eq!(config.grpc_addr.to_string(), GRPC_ADDR);
    assert_eq!(
        config.database_url.to_string(),
        "sqlite://./data/ringless.db"
    );
    assert!(config.is_first_try && config.roles.api && config.roles.worker);
    assert_eq!(config.drain_delay, Duration::from_secs(5));
    assert_eq!(config.accept.upload_memory_bytes, 96 << 20);
    assert_eq!(config.accept.upload_spool_bytes, 8 << 30);
    assert_eq!(config.rules, Rules::default());
}

#[test]
fn flags_win_over_the_file() {
    let file = FileConfig::parse("grpc_addr = '127.0.0.1:1'\ndata_dir = '/a'\nroles = ['api']")
        .expect("right");
    let given = Overrides {
        grpc_addr: Some("127.0.0.1:2".parse().expect("an address")),
        roles: Some("worker".to_owned()),
        ..Overrides::default()
    };
    let config = Config::build(given, file).expect("right");
    assert_eq!(config.grpc_addr.port(), 2);
    assert_eq!(config.data_dir, PathBuf::from("/a"));
    assert_eq!(
        config.roles,
        Roles {
            api: false,
            worker: true
        }
    );
}

#[test]
fn what_is_wrong_is_named_in_one_line() {
    for (text, said) in [
        ("grpc_adr = 'x'", "grpc_adr"),
        ("[accept]\nqueue_maximum = 1", "queue_maximum"),
        ("grpc_addr = 'here'", "grpc_addr = `here` is no address"),
        ("grpc_addr = '0.0.0.0:50051'", "--insecure-no-auth"),
        ("database_url = 'ringless.db'", "sqlite://PATH"),
        ("roles = ['apo']", "`apo` is unknown"),
        ("roles = []", "none is given"),
        ("drain_delay_seconds = 16", "0 to 15"),
        ("[numbers]\ndefault_country = 'USA'", "`USA` is no country"),
        (
            "[numbers]\nallowed_countries = []",
            "allowed_countries is empty",
        ),
        ("[accept]\nqueue_max = 0", "accept.queue_max = 0"),
        (
            "[worker]\ncall_timeout_seconds = 31",
            "must be at most half of worker.lease_seconds",
        ),
        ("[delivery]\nretry_waits_seconds = []", "1 to 50"),
        (
            "[carriers.x]\nkind = 'y'",
            "known are `sandbox`, `voicedrop`",
        ),
        ("[carriers.x]\ncolour = 1", "kind"),
        (
            "[carriers.x]\nkind = 'voicedrop'",
            "[carriers.x]: `public_url` is missing",
        ),
        (
            "public_url = 'https://vm.example'\n[carriers.x]\nkind = 'voicedrop'",
            "[carriers.x]: auth_key is missing",
        ),
        (
            "public_url = 'https://vm.example'\n[carriers.x]\nkind = 'voicedrop'\nauth_key = 'sesame'",
            "a secret does not stand in this file",
        ),
        (
            "public_url = 'https://vm.example'\n[carriers.x]\nkind = 'slybroadcast'",
            "[carriers.x]: uid is missing",
        ),
        (
            "public_url = 'http://vm.example'",
            "public_url: `http://vm.example` is not encrypted",
        ),
        (
            "[audio_links]\nkeys = ['abc']",
            "a secret does not stand in this file",
        ),
        (
            "[audio_links]\nkeys = [{ env = 'RINGLESS_TEST_NOBODY_SETS_THIS' }]",
            "RINGLESS_TEST_NOBODY_SETS_THIS",
        ),
        ("[numbers]\nalso_valid = ['+1*']", "`+1*` is no range"),
        ("[carriers.'A b']\nkind = 'sandbox'", "[carriers.A b]"),
        ("[carriers.x]\nkind = 'sandbox'\ncolour = 1", "colour"),
    ] {
        let line = refused(text);
        assert!(line.contains(said), "{text}: {line}");
        assert_eq!(line.lines().count(), 1, "{line}");
    }
}

#[test]
fn each_bound_holds_at_both_ends() {
    for (key, min, max) in [
        ("[storage]\nconnections", 2, 200),
        ("[storage]\nconnection_age_max_seconds", 1, 86_400),
        ("[accept]\nconnection_age_max_seconds", 1, 86_400),
        ("[accept]\nconnection_grace_seconds", 1, 3_600),
        ("[worker]\nin_flight_max", 1, 1_000),
        ("[worker]\npoll_seconds", 1, 60),
        ("[accept]\nupload_memory_mib", 8, 65_536),
        ("[accept]\nqueue_max", 1, 1_000_000_000),
        ("drain_delay_seconds", 0, 15),
    ] {
        let build = |value: i64| {
            let file = FileConfig::parse(&format!("{key} = {value}"))?;
            Config::build(Overrides::default(), file).map(|_| ())
        };
        for value in [min, max] {
            assert!(build(value).is_ok(), "{key} = {value}");
        }
        for value in [min - 1, max + 1] {
            assert!(build(value).is_err(), "{key} = {value}");
        }
    }
}

#[test]
fn migrating_is_left_out_by_the_flag_or_the_file() {
    let migrates = |flag, text| {
        let given = Overrides {
            no_migrate: flag,
            ..Overrides::default()
        };
        let file = FileConfig::parse(text).expect("right");
        Config::build(given, file).expect("right").migrate
    };
    assert!(migrates(false, ""));
    assert!(!migrates(true, "storage.migrate = true"));
    assert!(!migrates(false, "storage.migrate = false"));
}

#[test]
fn a_terminal_needs_no_drain() {
    let given = Overrides {
        on_terminal: true,
        ..Overrides::default()
    };
    let config = Config::build(given, FileConfig::default()).expect("defaults");
    assert_eq!(config.drain_delay, Duration::ZERO);
}

#[test]
fn keys_of_audio_links_are_eight_at_most_and_of_32_bytes_at_least() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let with = |count: usize, bytes: usize| {
        let path = folder.path().join("key");
        std::fs::write(&path, "k".repeat(bytes)).expect("writable");
        let key = format!("{{ file = '{}' }}, ", path.display());
        let text = format!("[audio_links]\nkeys = [{}]", key.repeat(count));
        let file = FileConfig::parse(&text).expect("TOML");
        Config::build(Overrides::default(), file).map(|config| config.link_keys.len())
    };
    for (count, bytes, is_good) in [
        (7, 32, true),
        (8, 33, true),
        (9, 32, false),
        (1, 31, false),
        (1, 32, true),
    ] {
        let read = with(count, bytes);
        assert_eq!(
            read.is_ok_and(|read| read == count),
            is_good,
            "{count} {bytes}"
        );
    }
}

#[test]
fn a_named_table_takes_the_place_of_the_embedded_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("holidays.toml");
    let with = |text: &str| {
        std::fs::write(&path, text).expect("writable");
        let text = format!("[tables]\nholidays = '{}'", path.display());
        let file = FileConfig::parse(&text).expect("TOML");
        Config::build(Overrides::default(), file).map(|config| config.gates.tables.version())
    };
    let head = "version = 'ours'\nsource = 'us'\ndate = '2026-01-01'";
    let version = with(head).expect("a table");
    assert!(version.contains("holidays ours, "), "{version}");
    assert!(version.contains("hours 2025"), "{version}");

    let one_line = |text: &str, said: &str| {
        let refused = with(text).expect_err(text).to_string();
        assert!(refused.starts_with("tables.holidays `"), "{refused}");
        assert!(refused.contains(said), "{refused}");
        assert_eq!(refused.lines().count(), 1, "{refused}");
    };
    one_line("version = 1", "line 1: ");
    one_line(
        &format!("{head}\n[[holidays]]\nname = 'x'"),
        "holiday `x`: its keys",
    );
    one_line(&" ".repeat(2 << 20), "at most 1048576 are allowed");
}

#[test]
fn a_table_that_is_not_there_stops_the_start() {
    let line = refused("[tables]\narea_codes = '/nowhere/at-all.csv'");
    assert!(
        line.starts_with("tables.area_codes `/nowhere/at-all.csv`: it can't be read"),
        "{line}"
    );
    let line = refused("[tables]\narea_code = ''");
    assert!(line.contains("area_code"), "{line}");
}
