# Tests of generalized models by lme4 and car:
#
#     Rscript tests/reference/generalized_comparisons.R > tests/reference/generalized_comparisons.json

suppressMessages({
  library(lme4)
  library(car)
  library(jsonlite)
})
data(Contraception, package = "mlmRev")
tight <- glmerControl(
  optimizer = "bobyqa", tolPwrss = 1e-13, optCtrl = list(rhoend = 1e-9, maxfun = 1e5)
)

several <- function(...) {
  a <- anova(...)
  list(
    n_params = a$npar, llf = a$logLik, aic = a$AIC, bic = a$BIC,
    statistic = a$Chisq[-1], df = a$Df[-1], pvalue = a[["Pr(>Chisq)"]][-1]
  )
}
# type 3 needs contrasts that sum to zero
terms <- function(m, summed = m) {
  first <- anova(m)
  second <- Anova(m, type = 2)
  third <- Anova(summed, type = 3)[-1, ]
  dropped <- drop1(m, test = "Chisq")[-1, ]
  list(
    type1 = first[["Sum Sq"]], type2 = second$Chisq, type3 = third$Chisq,
    term_df = second$Df, dropped_aic = dropped$AIC, dropped = dropped$LRT
  )
}

cbpp$obs <- factor(seq_len(nrow(cbpp)))
m <- glmer(
  cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial,
  control = tight
)
g <- glm(cbind(incidence, size - incidence) ~ period, binomial, cbpp)
out <- list(
  made_by = paste0(
    R.version.string, ", lme4 ", packageVersion("lme4"), ", car ",
    packageVersion("car")
  ),
  cbpp = c(several(update(m, . ~ . - period), m, update(m, . ~ . + (1 | obs))), terms(m)),
  cbpp_glm = several(m, g)
)

Contraception$ch <- factor(ifelse(Contraception$livch == "0", "N", "Y"))
m <- glmer(
  use ~ age + urban * ch + (1 | district), Contraception, binomial, control = tight
)
summed <- update(m, contrasts = list(urban = "contr.sum", ch = "contr.sum"))
out$contraception <- c(
  several(m, update(m, . ~ . - (1 | district) + (urban | district))), terms(m, summed)
)

m <- glmer(
  TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | LOCATION), grouseticks, poisson,
  control = tight
)
out$grouseticks <- c(several(m, update(m, . ~ . + (1 | INDEX))), terms(m))
cat(toJSON(out, digits = 12, auto_unbox = TRUE, pretty = TRUE))
