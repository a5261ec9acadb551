# Fits of tests/many/test_many_reference.py by lmerTest, driven to a tight optimum.
#
#     Rscript tests/reference/many.R > tests/reference/many.json
#
# Simulated responses, one column each, of which every third lacks some rows. Estimates,
# standard errors, Satterthwaite's degrees of freedom and the REML criterion.

suppressMessages(library(lmerTest))
options(digits = 15)
set.seed(20)

d <- expand.grid(x = 0:4, g = 1:12)
d$h <- factor((3 * seq_len(nrow(d))) %% 7)
d$g <- factor(d$g)
count <- 6
y <- sapply(seq_len(count), function(j) {
  b <- matrix(rnorm(24), 12) %*% diag(c(1.5, 0.5))
  u <- rnorm(7)
  3 + 0.5 * d$x + b[d$g, 1] + b[d$g, 2] * d$x + u[d$h] + rnorm(nrow(d))
})
y <- round(y, 4)
y[c(3, 17, 40), 3] <- NA
y[c(1, 2, 3, 4, 58), 6] <- NA

numbers <- function(v) {
  v <- ifelse(is.na(v), "null", format(v, trim = TRUE, digits = 15))
  paste0("[", paste(v, collapse = ", "), "]")
}
control <- lmerControl(
  optimizer = "bobyqa", optCtrl = list(rhoend = 1e-12, maxfun = 1e5), calc.derivs = TRUE
)
formulas <- c("x + (x | g)", "x + (1 | g) + (1 | h)", "x + (1 | g)")
fits <- sapply(formulas, function(f) {
  each <- sapply(seq_len(count), function(j) {
    d$y <- y[, j]
    m <- suppressWarnings(lmer(as.formula(paste("y ~", f)), d, control = control))
    s <- coef(summary(m))
    parts <- c(params = 1, bse = 2, df = 3)
    table <- sapply(names(parts), function(n) {
      sprintf('"%s": %s', n, numbers(s[, parts[[n]]]))
    })
    singular <- if (isSingular(m)) "true" else "false"
    paste0(
      "{", paste(table, collapse = ", "), sprintf(', "reml": %.12f', REMLcrit(m)),
      ', "singular": ', singular, "}"
    )
  })
  paste0('"~ ', f, '": [\n  ', paste(each, collapse = ",\n  "), "\n]")
})
columns <- apply(y, 2, numbers)
cat(
  '{"y": [', paste(columns, collapse = ",\n"), '],\n"fits": {\n',
  paste(fits, collapse = ",\n"), "\n}}\n",
  sep = ""
)
