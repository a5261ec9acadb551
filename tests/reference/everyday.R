# Fits of tests/formula/test_everyday_formulas.py by lme4, driven to a tight optimum.
#
#     Rscript tests/reference/everyday.R > tests/reference/everyday.json
#
# What is written does not depend on the order or the names of columns: the criterion,
# the number of parameters, sigma, and for six rows the fixed part with its standard
# error, the variance of the random part and the fitted value.

suppressMessages(library(lme4))
options(digits = 15)

d <- sleepstudy
i <- seq_len(180) - 1
s <- i %/% 10
d$dose <- 1 + ((11 * i) %% 17) / 4
d$age <- 21 + (7 * s) %% 18
d$cond <- factor(c("a", "b", "c")[i %% 3 + 1])
d$sex <- factor(c("f", "m")[s %% 2 + 1])
d$site <- factor(paste0("S", s %/% 6))
d$lab <- factor(paste0("L", (s %/% 3) %% 2))
d$item <- factor(sprintf("i%02d", (5 * i) %% 12))
d$base <- 10 * (i %% 7)
d$rt <- d$Reaction + 12 * sin(2 * ((5 * i) %% 12)) + 6 * d$dose * sin(s + 1)
# patsy's scale() divides by n
scale0 <- function(x) (x - mean(x)) / sqrt(mean((x - mean(x))^2))
bs <- splines::bs

formulas <- c(
  intercepts = "rt ~ Days + (1 | Subject)",
  slopes = "rt ~ Days + (Days | Subject)",
  double_bar = "rt ~ Days + (Days || Subject)",
  two_terms = "rt ~ Days + (1 | Subject) + (0 + Days | Subject)",
  no_predictor = "rt ~ 1 + (1 | Subject)",
  cell_means = "rt ~ 0 + cond + (1 | Subject)",
  minus_one = "rt ~ Days - 1 + (Days - 1 | Subject)",
  crossed = "rt ~ Days + cond + (1 | Subject) + (1 | item)",
  two_slopes = "rt ~ Days + dose + (Days + dose | Subject) + (1 | item)",
  interaction = "rt ~ Days * cond + (Days | Subject)",
  three_way = "rt ~ Days * cond * sex + (1 | Subject)",
  power = "rt ~ (Days + cond + sex)^2 + (1 | Subject)",
  square = "rt ~ Days + I(Days^2) + (Days | Subject)",
  poly = "rt ~ poly(Days, 2) + (poly(Days, 2) | Subject)",
  spline = "rt ~ bs(Days, df = 4) + (1 | Subject)",
  log_response = "log(rt) ~ Days + (Days | Subject)",
  log_slope = "rt ~ log(dose) + (log(dose) | Subject)",
  scale = "rt ~ scale0(Days) + scale0(dose) + (scale0(Days) | Subject)",
  offset = "rt ~ Days + offset(base) + (1 | Subject)",
  factor_slopes = "rt ~ Days + cond + (0 + cond | Subject)",
  factor_double_bar = "rt ~ Days + cond + (cond || Subject)",
  nested_deep = "rt ~ Days + (1 | site/lab/Subject)",
  nested_slopes = "rt ~ Days + (Days | site/Subject)",
  cells = "rt ~ cond + (1 | Subject:cond) + (1 | item)",
  random_interaction = "rt ~ Days * dose + (Days * dose | Subject)",
  sum_coding = "rt ~ C(cond, contr.sum) * Days + age + (cond | Subject)"
)

tight <- function(formula, REML) {
  parts <- lFormula(formula, d, REML = REML)
  devfun <- do.call(mkLmerDevfun, parts)
  lower <- environment(devfun)$lower
  best <- list(fval = Inf)
  try_from <- function(start, size) {
    control <- list(rhobeg = size, rhoend = size * 1e-9, maxfun = 1e5)
    found <- minqa::bobyqa(start, devfun, lower = lower, control = control)
    if (found$fval < best$fval) best <<- found
  }
  first <- parts$reTrms$theta
  for (factor in c(1, 0.3, 3)) try_from(first * factor + 0.05 * (first == 0), 0.2)
  # random starts: the criterion of a singular fit may have several minima
  set.seed(1)
  for (k in 1:3) try_from(pmax(rnorm(length(first), best$par, 0.3), lower), 0.1)
  for (size in c(1e-1, 1e-2, 1e-3, 1e-2)) try_from(best$par, size)
  devfun(best$par)
  optimum <- list(par = best$par, fval = best$fval, conv = 0, message = "")
  mkMerMod(environment(devfun), optimum, parts$reTrms, parts$fr)
}

rows <- c(1, 20, 55, 90, 133, 180)
write <- function(formula, REML) {
  m <- tight(as.formula(formula), REML)
  x <- getME(m, "X")[rows, , drop = FALSE]
  zl <- t(getME(m, "Lambdat") %*% getME(m, "Zt")[, rows]) * sigma(m)
  list(
    formula = formula,
    criterion = unname(getME(m, "devcomp")$cmp[if (REML) "REML" else "dev"]),
    n_params = attr(logLik(m), "df"),
    sigma = sigma(m),
    fixed = as.vector(x %*% fixef(m)),
    se = sqrt(rowSums((x %*% as.matrix(vcov(m))) * x)),
    random_variance = as.vector(rowSums(zl^2)),
    fitted = unname(fitted(m)[rows])
  )
}

out <- lapply(formulas, function(f) list(reml = write(f, TRUE), ml = write(f, FALSE)))
json <- jsonlite::toJSON(out, digits = 13, auto_unbox = TRUE)
cat(gsub("},\"", "},\n\"", json, fixed = TRUE), "\n", sep = "")
