import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Pattern;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.AnalyzerWrapper;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.Tokenizer;
import org.apache.lucene.analysis.core.KeywordAnalyzer;
import org.apache.lucene.analysis.core.LowerCaseTokenizer;
import org.apache.lucene.analysis.core.WhitespaceAnalyzer;
import org.apache.lucene.analysis.miscellaneous.ASCIIFoldingFilter;
import org.apache.lucene.analysis.standard.UAX29URLEmailAnalyzer;
import org.apache.lucene.analysis.tokenattributes.CharTermAttribute;
import org.apache.lucene.analysis.tokenattributes.PositionIncrementAttribute;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.DoubleField;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.StringField;
import org.apache.lucene.document.TextField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.Term;
import org.apache.lucene.queryparser.classic.ParseException;
import org.apache.lucene.queryparser.classic.QueryParser;
import org.apache.lucene.search.BooleanClause;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.NumericRangeQuery;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TermQuery;
import org.apache.lucene.store.Directory;
import org.apache.lucene.store.RAMDirectory;
import org.apache.lucene.util.BytesRefBuilder;
import org.apache.lucene.util.NumericUtils;
import org.apache.lucene.util.Version;

/** Lines of fields separated by tabs, from the standard input: see record.py. */
public class Lucene {
    private static final Version VERSION = Version.LUCENE_4_10_4;
    private static final Pattern NUMERAL =
        Pattern.compile("[-+]?(Infinity|((\\d+\\.?\\d*|\\.\\d+)([eE][-+]?\\d+)?))");
    private static final String[] NAMED = {
        "core.Simple", "standard.Standard", "standard.Classic", "cjk.CJK", "en.English"
    };

    private static Analyzer analyzer(String name) throws Exception {
        switch (name) {
            case "keyword":
                return new KeywordAnalyzer();
            case "whitespace":
                return new WhitespaceAnalyzer(VERSION);
            case "simple_asciifolding":
                return new Analyzer() {
                    @Override
                    protected TokenStreamComponents createComponents(String field, java.io.Reader reader) {
                        Tokenizer tokenizer = new LowerCaseTokenizer(reader);
                        return new TokenStreamComponents(tokenizer, new ASCIIFoldingFilter(tokenizer));
                    }
                };
            case "email":
                return new UAX29URLEmailAnalyzer();
            default:
                for (String each : NAMED) {
                    if (each.toLowerCase().endsWith("." + name)) {
                        Class<?> type = Class.forName("org.apache.lucene.analysis." + each + "Analyzer");
                        return (Analyzer) type.getConstructor().newInstance();
                    }
                }
                throw new IllegalArgumentException(name);
        }
    }

    /** Analyzers by field: {@code default=standard;tag=keyword}. */
    private static class Fields extends AnalyzerWrapper {
        private final Map<String, Analyzer> analyzers = new HashMap<>();

        Fields(String given) throws Exception {
            super(PER_FIELD_REUSE_STRATEGY);
            for (String each : given.split(";")) {
                analyzers.put(each.split("=")[0], analyzer(each.split("=")[1]));
            }
        }

        @Override
        public Analyzer getWrappedAnalyzer(String field) {
            Analyzer found = analyzers.get(field);
            return found == null ? analyzers.get("default") : found;
        }
    }

    /** Clouseau's parser; but a number without a sign finds the word, too, and what whitespace separates keeps its letters' case. */
    private static class Parser extends QueryParser {
        private final Fields analyzers;

        Parser(Fields analyzers) {
            super("default", analyzers);
            this.analyzers = analyzers;
        }

        private void lowerCase(String field) {
            Analyzer one = analyzers.getWrappedAnalyzer(field);
            setLowercaseExpandedTerms(!(one instanceof KeywordAnalyzer || one instanceof WhitespaceAnalyzer));
        }

        @Override
        protected Query getFieldQuery(String field, String text, boolean quoted) throws ParseException {
            Query words = super.getFieldQuery(field, text, quoted);
            if (quoted || !NUMERAL.matcher(text).matches()) {
                return words;
            }
            BytesRefBuilder bytes = new BytesRefBuilder();
            NumericUtils.longToPrefixCoded(NumericUtils.doubleToSortableLong(Double.parseDouble(text)), 0, bytes);
            BooleanQuery both = new BooleanQuery();
            both.add(new TermQuery(new Term(field, bytes.get())), BooleanClause.Occur.SHOULD);
            if (words != null && text.charAt(0) != '-' && text.charAt(0) != '+') {
                both.add(words, BooleanClause.Occur.SHOULD);
            }
            return both;
        }

        @Override
        protected Query getRangeQuery(String field, String low, String high, boolean withLow, boolean withHigh)
                throws ParseException {
            String from = low == null ? "-Infinity" : low;
            String to = high == null ? "Infinity" : high;
            if (NUMERAL.matcher(from).matches() && NUMERAL.matcher(to).matches()) {
                return NumericRangeQuery.newDoubleRange(
                    field, Double.valueOf(from), Double.valueOf(to), withLow, withHigh);
            }
            lowerCase(field);
            return super.getRangeQuery(field, low, high, withLow, withHigh);
        }

        @Override
        protected Query getFuzzyQuery(String field, String text, float least) throws ParseException {
            lowerCase(field);
            return super.getFuzzyQuery(field, text, least);
        }

        @Override
        protected Query getPrefixQuery(String field, String text) throws ParseException {
            lowerCase(field);
            return super.getPrefixQuery(field, text);
        }

        @Override
        protected Query getRegexpQuery(String field, String text) throws ParseException {
            lowerCase(field);
            return super.getRegexpQuery(field, text);
        }

        @Override
        protected Query getWildcardQuery(String field, String text) throws ParseException {
            lowerCase(field);
            return super.getWildcardQuery(field, text);
        }
    }

    /** Undoes Python's {@code text.encode("unicode_escape")}, of which only four digits are sent. */
    private static String given(String text) {
        StringBuilder found = new StringBuilder();
        for (int place = 0; place < text.length(); place++) {
            if (text.charAt(place) == '\\') {
                found.append((char) Integer.parseInt(text.substring(place + 2, place + 6), 16));
                place += 5;
            } else {
                found.append(text.charAt(place));
            }
        }
        return found.toString();
    }

    private static String shown(String text) {
        StringBuilder found = new StringBuilder();
        for (char each : text.toCharArray()) {
            found.append(each == '\\' || each < 32 || each > 126 ? String.format("\\u%04x", (int) each) : "" + each);
        }
        return found.toString();
    }

    public static void main(String[] arguments) throws Exception {
        BooleanQuery.setMaxClauseCount(100_000);
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, "US-ASCII"));
        PrintStream output = new PrintStream(System.out, false, "US-ASCII");
        Fields analyzers = null;
        Directory directory = null;
        IndexWriter writer = null;
        IndexSearcher searcher = null;
        Document document = null;
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] parts = Arrays.stream(line.split("\t", -1)).map(Lucene::given).toArray(String[]::new);
            switch (parts[0]) {
                case "index":
                    analyzers = new Fields(parts[1]);
                    directory = new RAMDirectory();
                    writer = new IndexWriter(directory, new IndexWriterConfig(VERSION, analyzers));
                    break;
                case "document":
                    document = new Document();
                    document.add(new StringField(" number", parts[1], Field.Store.YES));
                    break;
                case "text":
                    document.add(new TextField(parts[1], parts[2], Field.Store.NO));
                    break;
                case "number":
                    document.add(new DoubleField(parts[1], Double.parseDouble(parts[2]), Field.Store.NO));
                    document.add(new StringField(parts[1], parts[2], Field.Store.NO));
                    break;
                case "add":
                    writer.addDocument(document);
                    break;
                case "commit":
                    writer.commit();
                    searcher = new IndexSearcher(DirectoryReader.open(directory));
                    break;
                case "query":
                    StringBuilder found = new StringBuilder();
                    try {
                        Query query = new Parser(analyzers).parse(parts[1]);
                        for (ScoreDoc hit : searcher.search(query, 10_000).scoreDocs) {
                            found.append(' ').append(searcher.doc(hit.doc).get(" number"));
                        }
                    } catch (ParseException | IllegalArgumentException error) {
                        found = new StringBuilder("error");
                    }
                    output.println(found);
                    break;
                case "tokens":
                    StringBuilder tokens = new StringBuilder();
                    try (TokenStream stream = analyzer(parts[1]).tokenStream("", parts[2])) {
                        CharTermAttribute term = stream.addAttribute(CharTermAttribute.class);
                        PositionIncrementAttribute step = stream.addAttribute(PositionIncrementAttribute.class);
                        stream.reset();
                        while (stream.incrementToken()) {
                            tokens.append('\t').append(step.getPositionIncrement()).append(':');
                            tokens.append(shown(term.toString()));
                        }
                    }
                    output.println(tokens);
                    break;
                default:
                    throw new IllegalArgumentException(line);
            }
        }
        output.flush();
    }
}
