//! The dashboard's pieces of HTML: tables, fields and buttons.

use std::fmt::Write as _;

use crate::page::escaped;

/// A form that posts to the control API, with the token. `inside` is HTML.
pub(super) fn form(token: &str, action: &str, inside: &str) -> String {
    format!(
        "<form method=\"post\" action=\"/__simulator/api/{action}\">\
         <input type=\"hidden\" name=\"token\" value=\"{}\">{inside}</form>\n",
        escaped(token)
    )
}

/// A hidden field of a form.
pub(super) fn hidden(name: &str, value: &str) -> String {
    format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escaped(value))
}

/// A field with its label. `id` is the page's own; `attributes` are HTML.
pub(super) fn field(id: &str, label: &str, name: &str, value: &str, attributes: &str) -> String {
    format!(
        "<p class=\"field\"><label for=\"{id}\">{label}</label>\
         <input id=\"{id}\" name=\"{name}\" value=\"{}\" {attributes}></p>\n",
        escaped(value)
    )
}

/// A table whose cells are HTML already. On a narrow screen each row becomes a block, and each
/// cell carries its column's name; the roles keep it a table for a screen reader there.
pub(super) fn table(
    html: &mut String,
    caption: &str,
    columns: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) {
    // Writing to a String cannot fail.
    let _ = write!(
        html,
        "<table role=\"table\"><caption>{caption}</caption>\n\
         <thead role=\"rowgroup\"><tr role=\"row\">"
    );
    for column in columns {
        let _ = write!(html, "<th scope=\"col\" role=\"columnheader\">{column}</th>");
    }
    html.push_str("</tr></thead>\n<tbody role=\"rowgroup\">\n");
    let mut none = true;
    for row in rows {
        none = false;
        html.push_str("<tr role=\"row\">");
        for (column, cell) in columns.iter().zip(row) {
            let _ =
                write!(html, "<td role=\"cell\" data-column=\"{column}\"><div>{cell}</div></td>");
        }
        html.push_str("</tr>\n");
    }
    if none {
        let _ = writeln!(
            html,
            "<tr role=\"row\"><td role=\"cell\" colspan=\"{}\">None yet.</td></tr>",
            columns.len()
        );
    }
    html.push_str("</tbody></table>\n");
}

/// A time since the simulator's start, or how long something took.
pub(super) fn duration(time: std::time::Duration) -> String {
    if time.as_secs() < 1 {
        format!("{} ms", time.as_millis())
    } else if time.as_secs() < 600 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min", time.as_secs() / 60)
    }
}
