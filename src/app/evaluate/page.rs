//! The page of an evaluation: tables and drawings in one file, with nothing to fetch and no script.

use std::path::PathBuf;

use crate::app::evaluate::chart::escaped;
use crate::app::evaluate::recordings::WholeFile;
use crate::app::outcome::Failure;
use crate::replay::report::page::STYLE;

const OWN_STYLE: &str = include_str!("page.css");

/// A page that is being composed.
pub struct Page {
    title: String,
    body: String,
}

impl Page {
    pub fn new(title: &str, lead: &str) -> Self {
        let body = format!(
            "<header>\n<p class=\"brand\">tapewatch <span>{}</span></p>\n<h1>{}</h1>\n<p class=\"quiet lead\">{}</p>\n</header>\n<main>\n",
            env!("CARGO_PKG_VERSION"),
            escaped(title),
            escaped(lead)
        );
        Self { title: title.to_owned(), body }
    }

    pub fn heading(&mut self, text: &str) {
        self.body.push_str(&format!("<h2>{}</h2>\n", escaped(text)));
    }

    pub fn paragraph(&mut self, text: &str) {
        self.body.push_str(&format!("<p class=\"quiet\">{}</p>\n", escaped(text)));
    }

    /// The first row are the names of the columns; of the others the first `left` cells are words.
    pub fn table(&mut self, rows: &[Vec<String>], left: usize) {
        let Some((names, rows)) = rows.split_first() else { return };
        self.body.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
        for (column, name) in names.iter().enumerate() {
            let class = if column < left { "" } else { " class=\"number\"" };
            self.body.push_str(&format!("<th scope=\"col\"{class}>{}</th>", escaped(name)));
        }
        self.body.push_str("</tr></thead>\n<tbody>\n");
        for row in rows {
            self.body.push_str("<tr>");
            for (column, cell) in row.iter().enumerate() {
                let class = if column < left { "" } else { " class=\"number\"" };
                self.body.push_str(&format!("<td{class}>{}</td>", escaped(cell)));
            }
            self.body.push_str("</tr>\n");
        }
        self.body.push_str("</tbody></table></div>\n");
    }

    /// A drawing of [`chart`](crate::app::evaluate::chart), with what it shows below.
    pub fn figure(&mut self, svg: &str, caption: &str) {
        self.draw("drawing", svg, caption);
    }

    /// One of several that stand side by side where there is room.
    pub fn small_figure(&mut self, svg: &str, caption: &str) {
        self.draw("drawing small", svg, caption);
    }

    fn draw(&mut self, class: &str, svg: &str, caption: &str) {
        let caption = escaped(caption);
        self.body.push_str(&format!(
            "<figure class=\"{class}\">{svg}<figcaption class=\"quiet\">{caption}</figcaption></figure>\n"
        ));
    }

    /// The whole page as text.
    pub fn text(&self) -> String {
        let title = escaped(&self.title);
        let body = &self.body;
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"generator\" content=\"tapewatch\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <title>{title}</title>\n<style>\n{STYLE}\n{OWN_STYLE}</style>\n</head>\n<body>\n{body}</main>\n</body>\n</html>\n"
        )
    }

    /// Writes it to `to`.
    pub fn write(&self, to: PathBuf) -> Result<(), Failure> {
        let mut file = WholeFile::create(to)?;
        file.write(self.text().as_bytes())?;
        file.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_no_markup_and_nothing_is_fetched() {
        let mut page = Page::new("a <b>", "lead & more");
        page.heading("h");
        page.table(
            &[vec!["model".to_owned(), "x".to_owned()], vec!["<script>".to_owned(), "1".to_owned()]],
            1,
        );
        page.figure("<svg></svg>", "c");
        let text = page.text();
        assert!(text.contains("a &lt;b&gt;") && text.contains("&lt;script&gt;") && !text.contains("<script"));
        for outside in ["http:", "https:", "src=", "@import", "url("] {
            assert!(!text.contains(outside), "{outside}");
        }
    }
}
