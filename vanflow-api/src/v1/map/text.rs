//! The map as text that other programs draw: DOT and Mermaid.
//!
//! Names come from remote peers. In DOT they stand in quotes, in which a quote and a backslash are escaped; in Mermaid
//! every character that means anything there, or in HTML, is written as its number.

use std::fmt::Write;

use super::{
    Picture,
    figures::Trouble,
    scene::{End, Kind},
    words,
};

/// A `digraph` with a cluster for each site, for Graphviz.
pub(super) fn dot(picture: &Picture<'_>) -> String {
    let Picture { graph, scene, .. } = picture;
    let mut text = String::from(
        "digraph \"VAN-Flow\" {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\", fontsize=11];\n  edge \
         [fontname=\"sans-serif\", fontsize=10];\n",
    );
    for (area, (site, facts)) in graph.sites.iter().zip(&scene.areas).enumerate() {
        let _ = writeln!(text, "  subgraph {} {{", dot_quoted(&format!("cluster {}", site.id)));
        let _ = writeln!(text, "    label={};", dot_quoted(&picture.area_title(area)));
        if !facts.is_open {
            let label = [site.name.clone(), picture.area_line(area)].join("\n");
            let _ = writeln!(
                text,
                "    {} [label={}{}];",
                dot_quoted(&format!("area {}", site.id)),
                dot_quoted(&label),
                dot_colour(facts.trouble)
            );
        }
        for node in scene.nodes.iter().filter(|node| node.area == area) {
            let line = words::node(&node.all, &node.served);
            let label = if line.is_empty() { node.name.clone() } else { format!("{}\n{line}", node.name) };
            let style = if node.kind == Kind::Remote { ", style=dashed" } else { "" };
            let _ = writeln!(
                text,
                "    {} [label={}{style}{}];",
                dot_quoted(&format!("node {}", node.id)),
                dot_quoted(&label),
                dot_colour(node.served.trouble())
            );
        }
        for router in graph.routers.iter().filter(|router| router.site == area) {
            let _ = writeln!(
                text,
                "    {} [label={}, shape=diamond];",
                dot_quoted(&format!("router {}", router.id)),
                dot_quoted(&router.name)
            );
        }
        text.push_str("  }\n");
    }
    let id = |end: End| match end {
        End::Area(area) => dot_quoted(&format!("area {}", graph.sites[area].id)),
        End::Node(node) => dot_quoted(&format!("node {}", scene.nodes[node].id)),
    };
    for edge in &scene.edges {
        let _ = writeln!(
            text,
            "  {} -> {} [label={}, penwidth={:.2}{}];",
            id(edge.source),
            id(edge.destination),
            dot_quoted(&picture.edge_text(&edge.figures)),
            picture.width_of(edge.figures.octet_rates()),
            dot_colour(edge.figures.trouble())
        );
    }
    for link in &graph.links {
        let [one, other] =
            link.ends.map(|router| dot_quoted(&format!("router {}", graph.routers[router].id)));
        let _ = writeln!(
            text,
            "  {one} -> {other} [dir=none, style={}, label={}{}];",
            if link.reports_octets { "bold" } else { "dotted" },
            dot_quoted(&picture.link_text(link)),
            dot_colour(picture.link_trouble(link))
        );
    }
    text.push_str("}\n");
    text
}

fn dot_colour(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Fine => "",
        Trouble::Warn => ", color=\"#b4740a\", fontcolor=\"#8a5300\"",
        Trouble::Bad => ", color=\"#b3201a\", fontcolor=\"#b3201a\"",
    }
}

fn dot_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            // Nothing else ends a line there, and nothing of it is to be seen.
            letter if letter.is_control() => quoted.push(' '),
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

/// A `flowchart` with a subgraph for each site, for Mermaid.
pub(super) fn mermaid(picture: &Picture<'_>) -> String {
    let Picture { graph, scene, .. } = picture;
    let mut text = String::from("flowchart LR\n");
    for (area, (site, facts)) in graph.sites.iter().zip(&scene.areas).enumerate() {
        let _ = writeln!(text, "  subgraph a{area}[\"{}\"]", mermaid_text(&picture.area_title(area)));
        if !facts.is_open {
            let (name, line) = (mermaid_text(&site.name), mermaid_text(&picture.area_line(area)));
            let _ = writeln!(text, "    c{area}[\"{name}<br/>{line}\"]{}", mermaid_class(facts.trouble));
        }
        for (position, node) in scene.nodes.iter().enumerate().filter(|(_, node)| node.area == area) {
            let line = words::node(&node.all, &node.served);
            let line = if line.is_empty() { String::new() } else { format!("<br/>{}", mermaid_text(&line)) };
            let (open, close) = if node.kind == Kind::Remote { ("([\"", "\"])") } else { ("[\"", "\"]") };
            let class = mermaid_class(node.served.trouble());
            let _ = writeln!(text, "    n{position}{open}{}{line}{close}{class}", mermaid_text(&node.name));
        }
        for (position, router) in graph.routers.iter().enumerate().filter(|(_, router)| router.site == area) {
            let _ = writeln!(text, "    r{position}{{{{\"{}\"}}}}", mermaid_text(&router.name));
        }
        text.push_str("  end\n");
    }
    let id = |end: End| match end {
        End::Area(area) => format!("c{area}"),
        End::Node(node) => format!("n{node}"),
    };
    for edge in &scene.edges {
        let label = mermaid_label(&picture.edge_text(&edge.figures));
        let arrow = if edge.figures.trouble() == Trouble::Bad { "-.->" } else { "-->" };
        let _ = writeln!(text, "  {} {arrow}{label} {}", id(edge.source), id(edge.destination));
    }
    for link in &graph.links {
        let [one, other] = link.ends;
        let label = mermaid_label(&picture.link_text(link));
        let line = if link.is_up { "---" } else { "-.-" };
        let _ = writeln!(text, "  r{one} {line}{label} r{other}");
    }
    text.push_str(
        "  classDef bad stroke:#b3201a,color:#b3201a\n  classDef warn stroke:#b4740a,color:#8a5300\n",
    );
    text
}

fn mermaid_class(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Fine => "",
        Trouble::Warn => ":::warn",
        Trouble::Bad => ":::bad",
    }
}

/// What stands at a line; nothing where there is nothing to say.
fn mermaid_label(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("|\"{}\"|", mermaid_text(text)) }
}

/// What stands between quotes there.
fn mermaid_text(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            letter if letter.is_control() => escaped.push(' '),
            letter if letter.is_alphanumeric() || " -_.,:/+%@()".contains(letter) => escaped.push(letter),
            letter => {
                let _ = write!(escaped, "#{};", u32::from(letter));
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_quotes() {
        let name = "a\"];\nx -> y [label=\"\\\r<b>`#|{}";
        assert_eq!(dot_quoted(name), r#""a\"];\nx -> y [label=\"\\ <b>`#|{}""#);
        assert_eq!(
            mermaid_text(name),
            "a#34;#93;#59; x -#62; y #91;label#61;#34;#92; #60;b#62;#96;#35;#124;#123;#125;"
        );
        assert_eq!(mermaid_text("site-1/ä 5.5 % (x)"), "site-1/ä 5.5 % (x)");
    }
}
