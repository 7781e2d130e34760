//! Lists: one page, or all of them one after the other, as a table or as one JSON object.

use clap::Args;
use tonic::Status;

use super::client::persistently;
use super::json::Json;
use super::show::{self, Table};

/// Which part of a list.
#[derive(Debug, Clone, Args)]
pub struct Paging {
    /// The most rows of a page: 1 to 1000
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(i32).range(1..=1_000))]
    page_size: i32,
    /// The page after an earlier one, whose last line or `next_page_token` said this; keep the filters as they were
    #[arg(
        long,
        value_name = "TOKEN",
        default_value = "",
        hide_default_value = true
    )]
    page_token: String,
    /// Every page to the end
    #[arg(long, conflicts_with = "page_token")]
    all: bool,
    /// Print one JSON object, with the list and `next_page_token`
    #[arg(long)]
    json: bool,
}

/// How the things of a list look.
pub struct Shape<T> {
    /// As the response has it: `voicemails`.
    pub name: &'static str,
    /// What is listed, for people: `voicemails`.
    pub what: &'static str,
    pub columns: &'static [(&'static str, usize)],
    pub row: fn(&T) -> Vec<String>,
    pub json: fn(&T) -> Json,
}

/// Fetches page after page by size and token, and prints each as it comes.
pub async fn print<T>(
    paging: Paging,
    shape: Shape<T>,
    mut fetch: impl AsyncFnMut(i32, String) -> Result<(Vec<T>, String), Status>,
) -> anyhow::Result<()> {
    let mut table = Table::new(shape.columns);
    let mut json = JsonPages::new(shape.name);
    let mut token = paging.page_token;
    let mut is_any = false;
    // A list that is read to its end takes few, large pages.
    let size = if paging.all { 1_000 } else { paging.page_size };
    loop {
        let (items, next) = persistently(async || fetch(size, token.clone()).await).await?;
        is_any |= !items.is_empty();
        if paging.json {
            let items: Vec<Json> = items.iter().map(shape.json).collect();
            show::put(json.items(&items))?;
        } else if !items.is_empty() {
            let rows: Vec<Vec<String>> = items.iter().map(shape.row).collect();
            show::say(table.rows(&rows))?;
        }
        token = next;
        if token.is_empty() || !paging.all {
            break;
        }
    }
    if paging.json {
        return show::say(json.end(&token));
    }
    if !is_any {
        show::say(format!("no {}", shape.what))?;
    }
    match token.is_empty() {
        true => Ok(()),
        false => show::say(format!(
            "more: the same with --page-token {token}, or with --all"
        )),
    }
}

/// The pieces of one JSON object that is printed while its list is still being read.
struct JsonPages {
    begin: String,
    is_empty: bool,
}

impl JsonPages {
    fn new(name: &str) -> JsonPages {
        JsonPages {
            begin: format!("{{\n  \"{name}\": ["),
            is_empty: true,
        }
    }

    fn items(&mut self, items: &[Json]) -> String {
        let mut text = std::mem::take(&mut self.begin);
        for item in items {
            text.push_str(if self.is_empty { "\n    " } else { ",\n    " });
            text.push_str(&item.pretty().replace('\n', "\n    "));
            self.is_empty = false;
        }
        text
    }

    fn end(self, next_page_token: &str) -> String {
        let token = Json::Text(next_page_token.to_owned()).pretty();
        let close = if self.is_empty { "]" } else { "\n  ]" };
        format!("{}{close},\n  \"next_page_token\": {token}\n}}", self.begin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str) -> Json {
        Json::Object(vec![("id".to_owned(), Json::Text(id.to_owned()))])
    }

    #[test]
    fn pages_make_one_json_object_as_it_would_be_printed_whole() {
        for (pages, token) in [
            (vec![1, 2], "t"),
            (vec![0], ""),
            (vec![2, 0], ""),
            (vec![3], "\"quoted\""),
        ] {
            let mut printer = JsonPages::new("setups");
            let mut all = Vec::new();
            let mut text = String::new();
            for count in pages {
                let page: Vec<Json> = (0..count)
                    .map(|n| item(&format!("line\nbreak {n}")))
                    .collect();
                text.push_str(&printer.items(&page));
                all.extend(page);
            }
            text.push_str(&printer.end(token));
            let whole = Json::Object(vec![
                ("setups".to_owned(), Json::List(all)),
                ("next_page_token".to_owned(), Json::Text(token.to_owned())),
            ]);
            assert_eq!(text, whole.pretty());
        }
    }
}
